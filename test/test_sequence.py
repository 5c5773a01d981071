"""Predicted records through the codec, and the choice of references in a sequence."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import RecordError
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.record import is_predicted, needs, unpack
from gaussvae_ros.sequence import Coded, SequenceEncoder, encode_sequence
from gaussvae_ros.sequence.stored_records import StoredRecords
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where

CODEC = FrameCodec(device="cpu")
QUALITY = 40


@pytest.fixture(scope="module")
def drive() -> list[np.ndarray]:
    """Frames at 10 Hz of the simulated drive, 320x240 px."""
    world, sensor = build(0), Sensor(SIZE, FOCAL, 0)
    poses = where(np.arange(8) / 10, 60.0)
    frames = [photograph(world, sensor, *pose, 0.0) for pose in poses]
    return [cv2.resize(f, (320, 240), interpolation=cv2.INTER_AREA) for f in frames]


@pytest.fixture(scope="module")
def coded(drive) -> list[Coded]:
    return encode_sequence(CODEC, drive, QUALITY, ahead=0)


def test_predicted_frames_take_fewer_bytes_at_the_quality_of_frames_alone(drive, coded):
    alone = [CODEC.encode(frame, QUALITY) for frame in drive]
    ours = [CODEC.decode(one.records) for one in coded]
    assert coded[0].needed == () and all(one.needed for one in coded[1:4])
    after = slice(1, None)
    assert np.mean([len(c.data) for c in coded[after]]) < np.mean([len(d) for d in alone[after]])
    theirs = [psnr(f, CODEC.decode(d)) for f, d in zip(drive, alone)]
    assert np.mean([psnr(f, o) for f, o in zip(drive, ours)]) > np.mean(theirs) - 0.5


def test_every_frame_needs_two_others_at_most(coded):
    for one in coded:
        assert len(one.records) <= 3
        for before, after in zip(one.records, one.records[1:]):
            assert needs(after, before)
    assert max(len(one.records) for one in coded) == 3


def test_a_still_scene_costs_next_to_nothing(drive):
    first, *others = encode_sequence(CODEC, [drive[0]] * 4, QUALITY, ahead=0)
    assert max(len(one.data) for one in others) < len(first.data) / 8
    still = [psnr(drive[0], CODEC.decode(one.records)) for one in (first, *others)]
    assert min(still) > still[0] - 0.1


def test_a_scene_change_begins_with_a_key_record(drive):
    rng = np.random.default_rng(0)
    other = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (320, 240))
    _, made = encode_sequence(CODEC, [drive[0], other], QUALITY, ahead=0)
    assert made.needed == ()


@pytest.mark.parametrize("change", ["size", "mono"])
def test_a_frame_of_another_kind_stands_alone(drive, change):
    other = drive[1][:200] if change == "size" else drive[1][..., 1]
    key, made = encode_sequence(CODEC, [drive[0], other], QUALITY, ahead=0)
    assert made.needed == ()
    assert not is_predicted(CODEC.encode(other, QUALITY, reference=key.data))


def test_grey_frames_are_predicted_too(drive):
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in drive[:3]]
    made = encode_sequence(CODEC, grey, QUALITY, ahead=0)
    assert made[1].needed and made[2].needed
    for frame, one in zip(grey, made):
        picture = CODEC.decode(one.records)
        assert picture.shape == frame.shape and psnr(frame, picture) > 22


def test_a_restart_makes_a_key_record(drive):
    encoder = SequenceEncoder(CODEC)
    encoder.encode(drive[0], QUALITY)
    encoder.encode(drive[1], QUALITY)  # which of them waits is no matter
    encoder.restart()
    assert not encoder.flush()
    encoder.encode(drive[2], QUALITY, tag=2)
    [made] = encoder.flush()
    assert made.needed == () and made.tag == 2


def test_the_codec_predicts_where_that_is_a_gain(drive):
    key = CODEC.encode(drive[0], 60)
    record = CODEC.encode(drive[1], QUALITY, reference=key)
    assert is_predicted(record) and needs(record, key)
    assert record == CODEC.encode(drive[1], QUALITY, reference=[key])
    other = np.random.default_rng(1).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    assert not is_predicted(CODEC.encode(other, QUALITY, reference=key))


def test_predicted_records_decode_with_what_they_need_and_with_nothing_else(drive, coded):
    key, middle, last = next(c.records for c in coded if len(c.records) == 3)
    part = CODEC.decode([key, middle, last], roi=(40, 30, 96, 96))
    assert part.shape == (96, 96, 3)
    assert CODEC.decode([key, middle], size=(100, 75)).shape == (75, 100, 3)
    assert len(CODEC.splats([key, middle, last])) == len(CODEC.splats(key))
    for wrong in (last, [last], [middle, last], [key, last], [middle, key], [key, key], []):
        with pytest.raises(RecordError):
            CODEC.decode(wrong)
    with pytest.raises(RecordError, match="2 others"):
        CODEC.encode(drive[0], QUALITY, reference=[key, middle, last])


def test_remembered_references_give_the_same_pictures(coded):
    keen = FrameCodec(device="cpu", remember=1 << 24)
    for one in (*coded, *coded):
        np.testing.assert_array_equal(keen.decode(one.records), CODEC.decode(one.records))


def test_references_are_found_under_the_ids_that_they_were_stored_as(coded):
    stored = StoredRecords()
    for id, one in enumerate(coded, 10):
        wanted = next((k for k, c in enumerate(coded, 10) if one.needed[-1:] == (c.data,)), None)
        assert stored.reference(one) == wanted
        stored.stored(one, id)


def test_predicted_records_say_their_kind(coded):
    assert unpack(coded[1].data).tier == "predicted"
    assert unpack(coded[0].data).tier == "latent"


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (640, 3), (3, 480), (33, 17)])
@pytest.mark.parametrize("quality", [0, 100])
def test_frames_of_any_shape(drive, size, quality):
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in drive[:3]]
    for frame, one in zip(frames, encode_sequence(CODEC, frames, quality)):
        picture = CODEC.decode(one.records)
        assert picture.shape == frame.shape and psnr(frame, picture) > 15


def test_tries_pause_where_nothing_is_predicted():
    """Of frames that have nothing in common fewer are tried as time goes on, and after a still
    scene none is left out."""
    tried, predict = [], CODEC.predict
    codec = SimpleNamespace(
        encode=CODEC.encode,
        cost=CODEC.cost,
        predict=lambda *given: tried.append(count) or predict(*given),
    )
    encoder, rng = SequenceEncoder(codec, ahead=0), np.random.default_rng(0)
    coarse = rng.integers(0, 256, (30, 9, 12, 3)).astype(np.uint8)
    frames = [cv2.resize(c, (96, 72), interpolation=cv2.INTER_CUBIC) for c in coarse]
    for count, frame in enumerate(frames):
        encoder.encode(frame, QUALITY)
    assert tried[:3] == [1, 2, 3] and 5 <= len(tried) < 12
    for count in range(30, 45):
        [last] = encoder.encode(frames[0], QUALITY)
    assert last.needed and tried[-5:] == [40, 41, 42, 43, 44]


@pytest.mark.parametrize("ahead", [0, 2])
def test_frames_after_noise_are_as_good_as_frames_alone(drive, ahead):
    noise = np.random.default_rng(0).integers(0, 256, drive[0].shape).astype(np.uint8)
    frames = [drive[0], *[noise] * (1 + ahead), *drive[1:]]
    made = encode_sequence(CODEC, frames, QUALITY, ahead)[2 + ahead :]
    for frame, one in zip(drive[1:], made, strict=True):
        alone = psnr(frame, CODEC.decode(CODEC.encode(frame, QUALITY)))
        assert psnr(frame, CODEC.decode(one.records)) > alone - 2


def test_frames_have_a_quality_that_was_raised(drive):
    encoder = SequenceEncoder(CODEC, ahead=0)
    for frame in drive[:3]:
        encoder.encode(frame, 20)
    for frame in drive[3:6]:
        [one] = encoder.encode(frame, 75)
        alone = psnr(frame, CODEC.decode(CODEC.encode(frame, 75)))
        assert psnr(frame, CODEC.decode(one.records)) > alone - 2


def test_a_still_camera_of_few_pixels_costs_next_to_nothing(drive):
    """A small frame has fewer splats than its quality stands for, and bits their price by them."""
    small = cv2.resize(drive[0], (64, 48), interpolation=cv2.INTER_AREA)
    key = CODEC.encode(small, 100)
    made = CODEC.predict(small, 100, key)
    assert CODEC.cost(small, [key, made.data], key, 100) == pytest.approx(made.cost)
    keys = [one for one in encode_sequence(CODEC, [small] * 8, 100, 0) if not one.needed]
    assert len(keys) <= 2
