"""Frames to bytes and back in the splats tier: what comes back, whatever goes in, from any thread."""

import subprocess
import sys
import threading
import tracemalloc
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.codec import FrameCodec, splats_at
from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.entropy import stream
from gaussvae_ros.errors import GaussVaeError, ImageError, RecordError
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.fit import fit
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.remembered import OBJECTS

ROOT = Path(__file__).parents[1]
CODEC = FrameCodec(device="cpu")


def frame(width=160, height=120, seed=0) -> np.ndarray:  # uint8 [h, w, 3]
    """Soft shapes, some hard edges and a little noise."""
    rng = np.random.default_rng(seed)
    soft = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
    image = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(4):
        a, b = (tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height)) for _ in range(2))
        cv2.rectangle(image, a, b, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def encode(image, tier="splats", **how) -> bytes:
    return CODEC.encode(image, tier, **how)


@pytest.fixture(scope="module")
def record():
    return encode(frame())


def test_a_frame_comes_back(record):
    image = CODEC.decode(record)
    assert (image.shape, image.dtype) == ((120, 160, 3), np.uint8)
    assert psnr(frame(), image) > 28
    assert unpack(record).size == (160, 120) and unpack(record).tier == "splats"


def test_a_mono_frame_comes_back_mono():
    grey = frame()[..., 1]
    data = encode(grey)
    image = CODEC.decode(data)
    assert image.shape == (120, 160) and psnr(grey, image) > 28
    assert len(data) < len(encode(frame()))


def test_quality_is_a_number_of_splats():
    assert [splats_at(q) for q in (0, 12.5, 25, 37.5, 50, 62.5, 75, 87.5, 100)] == [
        2**k for k in range(5, 14)
    ]
    assert splats_at(np.float32(50)) == splats_at(np.int64(50)) == 512
    counts = [splats_at(q) for q in range(101)]
    assert counts == sorted(counts) and len(set(counts)) == 101


def test_more_quality_is_more_bytes_and_a_better_picture():
    image = frame()
    datas = [encode(image, quality=q) for q in (10, 30, 50, 70)]
    scores = [psnr(image, CODEC.decode(data)) for data in datas]
    assert sorted(map(len, datas)) == list(map(len, datas)) and sorted(scores) == scores
    assert len(datas[-1]) > 3 * len(datas[0]) and scores[-1] > scores[0] + 3


def test_more_effort_is_a_better_picture():
    image = frame()
    best = encode(image, quality=30, effort="best")
    assert psnr(image, CODEC.decode(best)) > psnr(image, CODEC.decode(encode(image, quality=30)))


def test_half_a_kilobyte_around_the_default(record):
    assert 1200 < len(record) < 2700


def test_any_size(record):
    whole = CODEC.decode(record)
    assert CODEC.decode(record, size=(320, 240)).shape == (240, 320, 3)
    small = CODEC.decode(record, size=(40, 30))
    assert (
        np.abs(small.astype(int) - cv2.resize(whole, (40, 30), interpolation=cv2.INTER_AREA)).max()
        <= 1
    )
    twice = cv2.resize(
        CODEC.decode(record, size=(320, 240)), (160, 120), interpolation=cv2.INTER_AREA
    )
    assert psnr(whole, twice) > 35


def test_any_part(record):
    whole, part = CODEC.decode(record), CODEC.decode(record, roi=(20, 30, 50, 40))
    assert np.abs(part.astype(int) - whole[30:70, 20:70]).max() <= 1
    assert CODEC.decode(record, size=(25, 80), roi=(20, 30, 50, 40)).shape == (80, 25, 3)


@pytest.mark.parametrize("size", [(0, 5), (1 << 20, 1 << 20), "wide", (5,), (2.5, 2)])
def test_sizes_that_cannot_be(record, size):
    with pytest.raises(GaussVaeError) as error:
        CODEC.decode(record, size=size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("roi", [(0, 0, 161, 120), (-1, 0, 5, 5), (0, 0, 0, 0), (5, 5), 3])
def test_parts_that_are_not_there(record, roi):
    with pytest.raises(GaussVaeError) as error:
        CODEC.decode(record, roi=roi)
    assert "\n" not in str(error.value)


def test_many_are_as_one_by_one(record):
    images = [frame(), frame(96, 64, 1), frame(50, 70, 2)[..., 0]]
    datas = CODEC.encode_many(iter(images), "splats", quality=40)
    assert datas == [encode(image, quality=40) for image in images]
    assert CODEC.encode_many([]) == []


def test_a_batch_on_a_gpu_keeps_order_sizes_and_quality(monkeypatch):
    """With the GPU fit, or where there is none with the CPU fit in its place: what is tested is the way around it."""
    codec = FrameCodec()
    if why_no_gpu():
        stand_in = types.ModuleType("gaussvae_ros.fit.cuda")
        stand_in.fit_many = lambda images, n, effort, plans: [
            fit(image, n, effort) for image in images
        ]
        monkeypatch.setitem(sys.modules, "gaussvae_ros.fit.cuda", stand_in)
        codec._gpu = True
    images = [frame(), frame(40, 30, 1), frame(160, 120, 2), frame(96, 64, 3)[..., 0]]
    for image, data in zip(images, codec.encode_many(images, "splats"), strict=True):
        one_by_one = encode(image)
        assert CODEC.decode(data).shape == image.shape
        assert abs(psnr(image, CODEC.decode(data)) - psnr(image, CODEC.decode(one_by_one))) < 1
        assert abs(len(data) / len(one_by_one) - 1) < 0.1


def test_only_pixels_count(record):
    """Not how they lie in memory."""
    image = frame()
    fixed = image.copy()
    fixed.flags.writeable = False
    wide = np.zeros((240, 160, 3), np.uint8)
    wide[::2] = image
    same = [
        np.asfortranarray(image),
        image[..., ::-1].copy()[..., ::-1],
        fixed,
        wide[::2],
        image[::-1].copy()[::-1],
    ]
    assert [encode(i) for i in same] == [record] * len(same)
    np.testing.assert_array_equal(image, frame())  # and the frame is left alone


def test_the_same_bytes_in_another_process(record):
    code = "import sys; sys.path.insert(0, 'test'); import test_codec as t; print(t.encode(t.frame()).hex())"
    assert bytes.fromhex(_python(code)) == record


def test_any_bytes_like_object_is_a_record(record):
    for data in (bytearray(record), memoryview(record)):
        np.testing.assert_array_equal(CODEC.decode(data), CODEC.decode(record))


BAD_IMAGES = {
    "float": np.zeros((20, 20, 3)),
    "NaN": np.full((20, 20, 3), np.nan, np.float32),
    "int": np.zeros((20, 20), np.int64),
    "16 bits": np.zeros((20, 20), np.uint16),
    "bool": np.zeros((20, 20), bool),
    "objects": np.full((20, 20, 3), None),
    "four channels": np.zeros((20, 20, 4), np.uint8),
    "one channel": np.zeros((20, 20, 1), np.uint8),
    "a batch": np.zeros((2, 20, 20, 3), np.uint8),
    "a row": np.zeros(20, np.uint8),
    "no rows": np.zeros((0, 20, 3), np.uint8),
    "no columns": np.zeros((20, 0), np.uint8),
    "a scalar": np.uint8(3),
    "a list": [[0, 0], [0, 0]],
    "nothing": None,
    "bytes": b"abc",
    "too wide": np.zeros((1, 65536), np.uint8),
    "too many": np.broadcast_to(np.uint8(0), (9000, 9000)),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_what_is_not_an_image_gets_one_line(name):
    with pytest.raises(ImageError) as error:
        encode(BAD_IMAGES[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        *({"quality": q} for q in (-1, 101, float("nan"), float("inf"), "high", None, True, 1j)),
        {"effort": "huge"},
        {"effort": None},
        {"tier": "pixels"},
        {"tier": 0},
    ],
)
def test_other_bad_arguments_get_one_line(options):
    with pytest.raises(GaussVaeError, match=str(*options)) as error:
        encode(frame(), **options)
    assert "\n" not in str(error.value)


def test_devices():
    FrameCodec(device="cpu")
    with pytest.raises(GaussVaeError, match="device"):
        FrameCodec(device="tpu")
    with pytest.raises(GaussVaeError, match="model is the name"):
        FrameCodec(model=None)


def test_a_gpu_that_is_not_there():
    if why_no_gpu() is None:
        pytest.skip("there is one")
    with pytest.raises(GaussVaeError, match="device cuda cannot be used: .*; use device cpu"):
        FrameCodec(device="cuda")


@pytest.mark.parametrize(
    "data", [b"", b"x", None, "text", 5, np.zeros(9, np.uint8), b"\xa5\x10" + bytes(20)]
)
def test_what_is_not_a_record_gets_one_line(data):
    with pytest.raises(RecordError) as error:
        CODEC.decode(data)
    assert "\n" not in str(error.value)


def test_a_record_of_a_huge_frame_shows_parts_and_small_pictures():
    square = encode(
        frame(128, 128)
    )  # splats scale with the frame, so its payload is one of any square frame
    huge = pack(Record("splats", (65535, 65535), unpack(square).payload))
    with pytest.raises(GaussVaeError, match="65535x65535"):
        CODEC.decode(huge)
    assert (
        np.abs(
            CODEC.decode(huge, size=(64, 64)).astype(int) - CODEC.decode(square, size=(64, 64))
        ).mean()
        < 1
    )
    assert CODEC.decode(huge, roi=(60000, 60000, 64, 48)).shape == (48, 64, 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["black", "white", "grey", "noise", "checker", "one dot", "half"])
@pytest.mark.parametrize("size", [(64, 48), (33, 200)])
def test_hard_pictures(name, size):
    w, h = size
    image = np.zeros((h, w, 3), np.uint8)
    if name in ("white", "grey"):
        image[:] = 255 if name == "white" else 77
    elif name == "noise":
        image = np.random.default_rng(0).integers(0, 256, image.shape).astype(np.uint8)
    elif name == "checker":
        image[:] = 255 * ((np.arange(h)[:, None] + np.arange(w)) % 2)[..., None]
    elif name == "one dot":
        image[h // 2, w // 2] = 255
    elif name == "half":
        image[:, w // 2 :] = 255
    back = CODEC.decode(encode(image))
    assert back.shape == image.shape
    assert psnr(image, back) > {"noise": 8, "checker": 5, "half": 20}.get(name, 30)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.booleans(), st.integers(0, 50))
def test_every_small_size(width, height, mono, quality):
    image = frame(width, height, seed=quality)
    image = image[..., 0] if mono else image
    back = CODEC.decode(encode(image, quality=quality))
    assert back.shape == image.shape and back.dtype == np.uint8


def test_a_large_frame():
    image = cv2.resize(frame(640, 480), (3840, 2160), interpolation=cv2.INTER_LINEAR)
    data = encode(image)
    assert len(data) < 2700 and psnr(image, CODEC.decode(data)) > 25


def test_from_several_threads_at_once():
    images = [frame(96, 72, seed) for seed in range(4)]
    expected = [encode(image) for image in images]
    pictures = [CODEC.decode(data) for data in expected]
    wrong = []

    def work(k):
        for _ in range(5):
            if encode(images[k]) != expected[k] or not np.array_equal(
                CODEC.decode(expected[k]), pictures[k]
            ):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)


def test_it_starts_soon_and_without_torch(record):
    """Import at most 3 s of CPU time; a first frame there and back at most 2, since this process has compiled."""
    code = """if True:
        import sys, time
        sys.path.insert(0, "test")
        begun = time.process_time()
        from gaussvae_ros.codec import FrameCodec
        imported = time.process_time() - begun
        import numpy as np
        image = np.arange(640 * 480 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)
        begun = time.process_time()
        codec = FrameCodec()
        codec.decode(codec.encode(image, "splats"))
        print(imported, time.process_time() - begun, "torch" in sys.modules)
    """
    runs = [_python(code).split() for _ in range(2)]
    assert runs[0][2] == "False"
    assert min(float(r[0]) for r in runs) <= 3 and min(float(r[1]) for r in runs) <= 2, runs


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_remembered_records_are_not_read_again(record, monkeypatch):
    other = encode(frame(), quality=10)
    need = CODEC._read(unpack(record)).params.nbytes + len(record) + 2 * OBJECTS
    codec, read = FrameCodec("cpu", remember=need), []
    original = stream.read
    monkeypatch.setattr(stream, "read", lambda *args: read.append(1) or original(*args))
    pictures = [codec.decode(record, size=(8, 8 + n)) for n in range(3)]
    assert len(read) == 1 and (pictures[2] == CODEC.decode(record, size=(8, 10))).all()
    codec.decode(other)
    codec.decode(record)
    assert (
        len(read) == 4
    )  # the other record took its place; CODEC, which remembers none, read it once


def test_what_is_remembered_takes_no_more_memory_than_was_said():
    """All that it holds, keys and Python's objects too, for small records and for large ones."""
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    images = [np.uint8((x * k + y * (7 - k)) % 256) for k in range(1, 7)]
    records = [encode(image, quality=q) for image in images for q in (0, 5, 30, 60)]
    limit = 150_000
    codec = FrameCodec("cpu", remember=limit)
    codec.decode(records[0])
    tracemalloc.start()
    for record in records:
        codec.decode(record, size=(8, 8))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert limit / 2 < codec._remembered.bytes <= limit
    assert limit / 2 < held <= 1.05 * limit
