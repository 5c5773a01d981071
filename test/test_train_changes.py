"""Training of the prior of predicted records: a model that predicts, and a card that says how."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from samples import picture

from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.entropy.changes import Decoded
from gaussvae_ros.errors import DataError
from gaussvae_ros.record import PREDICTED, Record, checksum, pack, unpack
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where
from gaussvae_ros.training import changes
from gaussvae_ros.training.changes import LEAST, Sequence, Settings, make_predictions
from gaussvae_ros.vae import models
from gaussvae_ros.vae.latent import LatentCodec

LEARN = ["--frames", "40", "--held-out", "8"]


@pytest.fixture(scope="module")
def drive() -> list[np.ndarray]:
    """Frames at 10 Hz of a simulated drive, 160x120 px."""
    world, sensor = build(1), Sensor(SIZE, FOCAL, 1)
    poses = where(np.arange(LEAST) / 10, 60.0)
    frames = [photograph(world, sensor, *pose, 0.0) for pose in poses]
    return [cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA) for frame in frames]


def write_video(path, frames) -> None:
    """Each frame twice, of which one is kept."""
    size = frames[0].shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, size)
    for frame in frames:
        for _ in range(2):
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


def write_pictures(folder, pictures) -> list:
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number:02d}.png" for number in range(len(pictures))]
    for file, pixels in zip(files, pictures):
        Image.fromarray(pixels).save(file)
    return files


@pytest.fixture(scope="module")
def sources(drive, tmp_path_factory) -> list[str]:
    """A video, and a folder of ten pictures, one of them twice, and a file that is none."""
    place = tmp_path_factory.mktemp("sources")
    write_video(place / "drive.avi", drive)
    write_pictures(place / "stills", [*drive[::6], drive[0]])
    (place / "stills" / "broken.png").write_bytes(b"no picture")
    (place / "LICENSE").write_text("Licence: anyone, for anything\n")
    return [str(place / "drive.avi"), str(place / "stills")]


@pytest.fixture(scope="module")
def trained(sources, tmp_path_factory):
    """The file of a small training, and what it printed: the card."""
    return run_training(sources, tmp_path_factory.mktemp("trained"), "--steps", "100", "--json")


def run_training(sources, folder, *options):
    out, said = folder / "made.safetensors", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["train", "changes", *sources, "--out", str(out), *LEARN, *options]) == 0
    assert [p.name for p in folder.iterdir()] == [out.name]  # and no frames
    return out, said.getvalue()


def test_the_card_says_what_was_learned_from(trained, sources):
    about, card = models.describe(trained[0]), json.loads(trained[1])
    assert about == {"architecture": "changes", "config": {}, "card": card}
    settings = {"frames": 40, "held_out": 8, "steps": 100, "seed": 0, "model": "open"}
    assert card["settings"] == settings and card["seconds"] > 0
    licence = "LICENSE: anyone, for anything"
    assert card["sources"] == [{"given": s, "licence": licence} for s in sources]
    assert card["frames"] == dict(zip(sources, (LEAST, 12))) and card["skipped"] == 2
    bits = card["bits_per_frame"]
    assert {"motion", "change", "move_x", "shade0", "new_cells", "all"} <= set(bits)
    assert bits["all"] == pytest.approx(sum(bits.values()) - bits["all"], abs=1)


def test_training_takes_bits_from_frames_held_out(trained, sources, tmp_path):
    out, printed = run_training(sources, tmp_path, "--steps", "1")
    before, after = (models.describe(m)["card"]["bits_per_frame"] for m in (out, trained[0]))
    assert before["motion"] == after["motion"]  # of the same predictions
    assert after["all"] < 0.9 * before["all"]
    rows = [line.split() for line in printed.splitlines()]
    assert {row[0] for row in rows[1:-1]} == set(before)
    assert rows[-2][0] == "all"
    assert float(rows[-2][-1].replace(",", "")) == pytest.approx(before["all"], rel=0.01)


def test_frames_are_predicted_and_decoded_with_the_model(trained, drive):
    first, second, size = drive[0], drive[3], (160, 120)
    alone = FrameCodec(device="cpu").encode(first, quality=50)
    codec = LatentCodec("open", changes=trained[0])
    reference = Decoded.of(codec.decode(unpack(alone).payload, size))
    made = codec.predict(second, reference, 128)
    assert made.payload[:3] == models.Models().load(trained[0]).hash
    record = pack(Record(PREDICTED, size, made.payload, checksum(alone)))
    reader = FrameCodec(device="cpu", models=[trained[0].parent])
    pictures = reader.decode([alone, record]), reader.decode(alone)
    predicted, still = (np.square(p.astype(float) - second).mean() for p in pictures)
    assert pictures[0].shape == second.shape and predicted < 0.8 * still


def test_predictions_depend_on_their_places_alone(drive, tmp_path):
    """So that any number of processes makes the same."""

    def numbers(pairs):
        return [(r.geometry.tobytes(), m.kind.tobytes(), m.move.tobytes()) for r, m in pairs]

    files = write_pictures(tmp_path, drive[:20])
    sequences = [Sequence(files, True), Sequence(files[:3], False)]
    both = make_predictions(sequences, "train", range(2, 4), 0, "open")
    alone = [make_predictions(sequences, "train", range(k, k + 1), 0, "open") for k in (2, 3)]
    assert numbers(both) == numbers([pair for pairs in alone for pair in pairs])
    assert [r.size for r, _ in both] == [changes.SIZES[2], changes.SIZES[3]]
    other = make_predictions(sequences, "train", range(2, 3), 1, "open")
    assert numbers(other) != numbers(both[:1])


def test_frames_of_a_stream_follow_each_other_at_equal_distances(tmp_path):
    levels = [np.full((72, 96, 3), 40 * number, np.uint8) for number in range(5)]
    stream = Sequence(write_pictures(tmp_path, levels), True)
    for seed in range(40):
        frames = changes._frames([stream], (64, 48), np.random.default_rng(seed))
        steps = np.diff([float(f.mean()) for f in frames]) / 40
        assert len(frames) in (2, 3) and all(f.shape == (48, 64, 3) for f in frames)
        assert steps[0] >= 1 and (steps == steps[0]).all()


def test_single_pictures_move_and_keep_what_they_show(tmp_path):
    stills = Sequence(write_pictures(tmp_path, [picture(1, (2400, 1800))]), False)
    alike = []
    for seed in range(10):
        frames = changes._frames([stills], (64, 48), np.random.default_rng(seed))
        assert (frames[0] != frames[1]).any()
        alike.append(np.corrcoef(frames[0].ravel(), frames[1].ravel())[0, 1])
    assert np.mean(alike) > 0.8


def test_fine_patterns_do_not_alias_in_pictures_that_shrink():
    fine = np.tile(np.uint8([[0, 255], [255, 0]]), (900, 1200))
    frames = changes._moved(fine, (64, 48), 2, np.random.default_rng(0))
    assert max(float(f.std()) for f in frames) < 10


def test_grey_frames_are_predicted_as_the_codec_does_it(drive, tmp_path):
    files = write_pictures(tmp_path, [frame[..., 1] for frame in drive[:9]])
    pairs = make_predictions([Sequence(files, True)], "train", range(2), 0, "open")
    assert all(r.channels == 1 and m.colour.shape[1] == 1 for r, m in pairs)
    with pytest.raises(DataError, match="shade1.*colour"):
        changes._learn(pairs, Settings(steps=1), "shade1")


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["{short}", "--out", "{out}"], "needs 60 frames of a stream, at 1 in 2, there are 50"),
        (["{few}", "--out", "{out}"], "at least 8 pictures, there are 7"),
        (["{few}/00.png", "--out", "{out}"], "at least 8 pictures, there are 1"),
        (["{tmp}/none", "--out", "{out}"], "no such file or folder"),
        (["{few}", "--out", "{tmp}/none/m.safetensors"], "folder does not exist"),
        (["{few}", "--out", "{out}", "--seed", "-1"], "seed must be at least 0, not -1"),
        (["{few}", "--out", "{out}", "--frames", "0"], "frames must be at least 1, not 0"),
        (["{few}", "--out", "{out}", "--steps", "-3"], "steps must be at least 1, not -3"),
        (["{few}", "--out", "{out}", "--held-out", "0"], "held_out must be at least 1"),
        (["{few}", "--out", "{out}", "--frames", "many"], "--frames"),
        (["{few}", "--out", "{out}", "--model", "nobody"], "no model 'nobody'"),
        (["{few}", "--out", "{out}", "--model", "changes"], "changes is for other records"),
        (["--out", "{out}"], "SOURCE"),
        (["{few}"], "--out"),
    ],
)
def test_bad_input_gets_one_line(arguments, text, tmp_path, capsys):
    names = {"tmp": tmp_path, "out": tmp_path / "m.safetensors", "short": tmp_path / "short.avi"}
    names["few"] = tmp_path / "few"
    write_pictures(names["few"], [picture(number) for number in range(7)])
    write_video(names["short"], [picture(number) for number in range(50)])
    try:
        code = main(["train", "changes", *(a.format(**names) for a in arguments)])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and text in error and error.count("\n") == 1
    assert not names["out"].exists()


def test_a_script_must_name_sources(tmp_path):
    with pytest.raises(DataError, match="no sources"):
        changes.train_changes([], tmp_path / "m.safetensors")
