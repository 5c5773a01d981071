"""Descriptors of places: what they ignore and tell apart, places seen again, their training."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_cli import run
from test_likeness import DATA, ROOT, jpeg, needs_data, noisy, read, scene

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import ImageError, ModelError
from gaussvae_ros.likeness import likeness
from gaussvae_ros.recognition import places
from gaussvae_ros.recognition.kinds import GRADIENTS, PLACES, describe_for, kind_of
from gaussvae_ros.recognition.places import LENGTH, describe, describe_record


def alike(a: np.ndarray, b: np.ndarray) -> float:
    return float(likeness(describe(a), describe(b)[None])[0])


def best(query: list[np.ndarray], known: list[np.ndarray]) -> np.ndarray:
    """For each of some pictures, the likest known one."""
    stored = np.stack([describe(picture) for picture in known])
    return np.array([likeness(describe(picture), stored).argmax() for picture in query])


@pytest.mark.parametrize("size", [(640, 480), (16, 16), (8, 5), (17, 300), (1921, 1081)])
def test_any_size_and_both_kinds_give_128_numbers_of_4_bits(size):
    image = scene(size=size)
    for picture in (image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), image[::-1, :, ::-1]):
        descriptor = describe(picture)
        assert descriptor.dtype == np.int8 and descriptor.shape == (LENGTH,)
        assert np.abs(descriptor).max() == 7 and np.array_equal(describe(picture), descriptor)
    assert alike(image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) > 0.9


@pytest.mark.parametrize("image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 0, 3), np.uint8), 1])
def test_what_is_no_picture_is_refused_with_one_line(image):
    with pytest.raises(ImageError) as error:
        describe(image)
    assert "\n" not in str(error.value)


def test_light_and_noise_change_little_and_another_scene_much():
    image = scene(1)
    dark = np.uint8(255 * (image / 255.0) ** 1.6 * 0.6)
    for same in (dark, 255 - image, jpeg(image, 40), noisy(image, 5), image[:, 6:]):
        assert alike(image, same) > 0.75
    assert alike(image, scene(2)) < 0.5 and alike(image, image[:, ::-1]) < 0.5


def test_it_needs_neither_torch_nor_ros():
    code = (
        "import sys; from gaussvae_ros.recognition import kinds, places; import numpy as np;"
        "places.describe(np.zeros((48, 64), np.uint8));"
        "print([m for m in ('torch', 'rclpy') if m in sys.modules])"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert shown.strip() == "[]"


def test_a_record_is_described_by_a_small_drawing(monkeypatch):
    codec, sizes = FrameCodec(device="cpu"), []
    image = scene(3)
    record = codec.encode(image)
    decode = codec.decode
    monkeypatch.setattr(codec, "decode", lambda *a, size: sizes.append(size) or decode(*a, size))
    found = describe_record(codec, record)
    assert sizes == [(places.WIDTH, places.HEIGHT)]
    scores = likeness(found, np.stack([describe(scene(k)) for k in range(8)]))
    assert scores.argmax() == 3 and scores[3] > 0.6


# Places that are seen again


@needs_data
def test_the_second_round_of_a_corridor_finds_the_first():
    loop = [read(path) for path in sorted((DATA / "pr_corridor_loop").glob("*.jpg"))]
    found = best(loop[40:79], loop[:39])  # by SIFT matches, see test_likeness
    assert np.mean(np.abs(found - np.arange(1, 40)) <= 2) >= 0.79  # gradients: 0.69


@needs_data
def test_a_path_by_night_finds_it_by_day():
    sides = [
        [read(path) for path in sorted((DATA / "pr_gardens_point_a" / name).glob("*"))]
        for name in ("day_right", "night_right")
    ]
    found = best(sides[1], sides[0])
    assert np.mean(np.abs(found - np.arange(len(found))) <= 2) >= 0.7  # gradients: 0.30


@needs_data
def test_places_are_found_again_in_another_season():
    folder = DATA / "pr_michigan_seasons"
    pictures = [
        np.stack([describe(read(folder / f"{month:02}{place:02}.jpg")) for place in range(1, 6)])
        for month in range(1, 13)
    ]
    hits = [
        likeness(then[place], now).argmax() == place
        for now in pictures
        for then in pictures
        if now is not then
        for place in range(5)
    ]
    assert np.mean(hits) >= 0.94  # gradients: 0.84


# Kinds


def test_a_file_is_asked_in_the_kind_that_it_has(tmp_path):
    codec, images = FrameCodec(device="cpu"), [scene(k, (160, 120)) for k in range(4)]
    data = [codec.encode(image, quality=25) for image in images]
    with MemoryBank(tmp_path / "m.db") as bank:
        assert bank.descriptor_length() is None
        assert len(describe_for(bank, images[0])) == LENGTH
        for image, one in zip(images, data):
            bank.add(one, stamp_ns=0, descriptor=GRADIENTS.describe(image).tobytes())
        assert bank.descriptor_length() == GRADIENTS.length
        assert bank.find_like(describe_for(bank, images[2]))[0] == (bank.get(3), 1.0)
    assert kind_of(64) is GRADIENTS and kind_of(128) is PLACES and kind_of(17) is GRADIENTS


def test_an_old_file_is_described_anew(tmp_path, capsys, caplog):
    codec, images = FrameCodec(device="cpu"), [scene(k, (160, 120)) for k in range(4)]
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for image in images[:3]:
            like = GRADIENTS.describe(image).tobytes()
            bank.add(codec.encode(image, quality=25), stamp_ns=0, descriptor=like)
        bank.add(codec.encode(images[3], quality=25), stamp_ns=0)
    with MemoryBank(path, readonly=True) as reader:
        query = describe(images[1]).tobytes()
        assert reader.find_like(query) == reader.find_like(query) == []
        assert caplog.text.count("3 frames have descriptors of another kind") == 1
        done = json.loads(run(capsys, "bank", "describe", path, "--json")[1])
        assert done == {"frames": 4, "described": 4, "failed": []}
        assert reader.find_like(query)[0][0].id == 2 and len(reader.find_like(query)) == 4
    assert "0 of 4 frames" in run(capsys, "bank", "describe", path)[1]
    assert run(capsys, "bank", "describe", tmp_path / "none.db")[0] == 2


def test_frames_that_cannot_be_read_are_not_taken_for_described(tmp_path, capsys):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for k in range(3):
            bank.add(FrameCodec(device="cpu").encode(scene(k, (64, 48))), stamp_ns=k)
        bank.flush()
        bank._db.execute("UPDATE frames SET checksum = checksum + 1 WHERE id = 2")
    for described in (2, 0):
        done = json.loads(run(capsys, "bank", "describe", path, "--json")[1])
        assert done == {"frames": 3, "described": described, "failed": [2]}
    assert "frame 2 is not described" in run(capsys, "bank", "describe", path)[2]


# Training


def test_training_makes_a_model_that_describes(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(10):
        cv2.imwrite(str(folder / f"{k}.png"), scene(k, (160, 120)))
    (folder / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "places.safetensors"
    _, shown, _ = run(capsys, "train", "places", folder, "--out", out, "--views", 2, "--json")
    card = json.loads(shown)
    assert card["pictures"] == {"train": 10, "skipped": 1} and card["settings"]["seed"] == 0
    places._model.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(places, "MODEL", str(out))
        assert list(best([scene(k) for k in range(10)], [scene(k) for k in range(10)])) == [
            *range(10)
        ]
        places._model.cache_clear()
        patch.setattr(places, "MODEL", "open")  # one of records
        with pytest.raises(ModelError, match="no model of descriptors"):
            describe(scene())
    places._model.cache_clear()


@pytest.mark.parametrize(
    "wrong", [["--views", 1], ["--seed", -1], ["--out", "/nowhere/x.safetensors"]]
)
def test_a_training_that_cannot_be_is_refused(tmp_path, capsys, wrong):
    cv2.imwrite(str(tmp_path / "a.png"), scene(0, (64, 48)))
    given = ["--out", tmp_path / "x.safetensors", *wrong]
    code, _, problem = run(capsys, "train", "places", Path(tmp_path), *given)
    assert code == 2 and problem.count("\n") == 1
