"""Predicted records through the memory node's recorder, with a real codec and a real bank."""

import gc
import shutil
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
from moving import drive, sequence, view
from references import record
from test_recorder import Setup, T, bank, codec  # noqa: F401 (two are fixtures)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import Prediction
from gaussvae_ros.errors import ModelError
from gaussvae_ros.likeness import describe
from gaussvae_ros.nodes import recorder as module
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.nodes.sequences import Sequences
from gaussvae_ros.sequence import AHEAD, encode_sequence
from gaussvae_ros.sequence.stored_records import BESIDE

QUALITY = 30


def frame(image, number=0, camera="camera", session=0):
    return PendingFrame(
        camera, session, T + number * 10**8, image, describe(image).tobytes(), "lens"
    )


@pytest.fixture
def it(bank, codec):  # noqa: F811
    return predicting(bank, codec)


def predicting(bank, codec):  # noqa: F811
    made = Setup(bank, codec)
    made.recorder.encoding = {"quality": QUALITY, "effort": "fast", "predict": True}
    return made


def work(it, one):
    """Store a frame on its own, so that it waits for none after it."""
    it.recorder.work(one)
    assert it.recorder.commit()


def store(it, *images, **where):
    """Frames as the bank has them."""
    begun = len(it.stored)
    for number, image in enumerate(images, begun):
        work(it, frame(image, number, **where))
    return it.stored[begun:]


def offline(codec, images, quality=QUALITY):  # noqa: F811
    return sequence(codec, images, quality)


def test_frames_are_stored_with_the_references_of_their_sequence(it, bank, codec):  # noqa: F811
    images = drive(6)
    stored = store(it, *images)
    assert [one.records for one in stored] == offline(codec, images)
    assert stored[0].reference is None and stored[1].reference == stored[0].id
    assert all(one.tier == "predicted" for one in stored[1:4]) and bank.info()["kept"] == 0
    ids = {one.data: one.id for one in stored}
    assert all(one.reference == ids[one.needed[-1]] for one in stored if one.needed)
    keys = [one for one in stored if not one.needed]
    for kind, those in ((True, keys), (False, [one for one in stored if one.needed])):
        mean = np.mean([len(one.data) for one in those])
        assert it.counters.records("camera", kind) == (len(those), mean)
        assert it.counters.records("rear", kind) == (0, None)


def test_cameras_are_sequences_of_their_own(it, bank, codec):  # noqa: F811
    scenes = {"camera": drive(4), "rear": drive(4, scene=1)}
    for number in range(4):
        for camera, images in scenes.items():
            work(it, frame(images[number], number, camera))
    assert bank.info()["kept"] == 0
    for camera, images in scenes.items():
        found = [one for one in bank if one.camera == camera]
        assert [one.records for one in found] == offline(codec, images)
        assert {one.reference for one in found} <= {None, *(one.id for one in found)}


@pytest.mark.parametrize(
    "change",
    [{"session": 1}, {"quality": 75}, {"size": (128, 96)}, {"grey": True}, {"predict": False}],
    ids=lambda change: next(iter(change)),
)
def test_what_begins_with_a_record_alone(it, bank, codec, change):  # noqa: F811
    images, after = drive(3), drive(6, size=change.get("size", (160, 120)))[3:]
    if "grey" in change:
        after = [image[..., 1].copy() for image in after]
    before = store(it, *images)
    it.recorder.encoding |= {
        name: change[name] for name in ("quality", "predict") if name in change
    }
    how = it.recorder.encoding
    first, *others = store(it, *after, session=change.get("session", 0))
    assert first.needed == () and [one.records for one in before] == offline(codec, images)
    if how["predict"]:
        goes_on = [] if {"session", "quality"} & change.keys() else images
        expected = offline(codec, goes_on + after, how["quality"])[len(goes_on) :]
        assert [one.records for one in (first, *others)] == expected
        assert others[0].reference == first.id
    else:
        assert all(one.data == codec.encode(i, QUALITY) for one, i in zip((first, *others), after))
        it.recorder.encoding = {**how, "predict": True}
        key, near = store(it, *drive(2))
        assert key.needed == () and near.reference == key.id
    assert bank.verify() == []


def test_pictures_follow_a_quality_that_is_raised(it, codec):  # noqa: F811
    [low] = store(it, view())
    it.recorder.encoding |= {"quality": 80}
    [high] = store(it, view())
    assert len(codec.splats(high.records)) > 4 * len(codec.splats(low.records))


def test_a_frame_that_cannot_be_encoded_leaves_the_sequence_as_it_is(it, codec):  # noqa: F811
    images = drive(4)
    stored = store(it, *images[:2])
    wrong = frame(images[0], 2)
    wrong.image = wrong.image.astype(np.float64)
    work(it, wrong)
    stored += store(it, *images[2:])
    assert it.counts() == {"stored": 4, "poses_missing": 4, "failed": 1}
    assert [one.records for one in stored] == offline(codec, images)


@pytest.mark.parametrize("lost", [0, 1], ids=["key", "middle"])
def test_a_record_that_was_never_stored_goes_with_those_that_need_it(
    it,
    bank,  # noqa: F811
    codec,  # noqa: F811
    monkeypatch,
    lost,
):
    images = drive(5)
    for number, image in enumerate(images):
        with monkeypatch.context() as full:
            if number == lost:
                full.setattr(module, "WAITING", 0)
            work(it, frame(image, number))
    assert it.counts()["failed"] == 1
    records = offline(codec, images)
    missing = records.pop(lost)
    assert [one.records for one in bank] == records
    assert any(missing[-1] in one.needed for one in bank), "nothing needs what was lost"
    assert bank.info()["kept"] == 1 and bank.verify() == []


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_frames_are_whole_in_the_file_that_follows_one_that_is_gone(
    it,
    bank,  # noqa: F811
    codec,  # noqa: F811
    tmp_path,
    how,
):
    images, records = drive(6), offline(codec, drive(6))
    with MemoryBank(tmp_path / "other.db") as other:
        other.add(codec.encode(view(scene=9), 0), stamp_ns=1)
    store(it, *images[:3])
    it.recorder.work(frame(images[3], 3))  # predicted from those before, it waits for none
    for file in tmp_path.glob("memory.db*"):
        file.unlink()
    if how == "replaced":
        shutil.copy(tmp_path / "other.db", bank.path)
    work(it, frame(images[4], 4))
    assert "goes on in" in it.recorder.lost
    store(it, images[5])
    found = [one for one in bank if one.stamp_ns >= T]
    assert [one.records for one in found] == records[3:] and bank.verify() == []
    with MemoryBank(bank.path, readonly=True) as anew:
        for one, image in zip(anew.find(after=T), images[3:]):
            assert codec.decode(one.records).shape == image.shape


def test_a_recorder_that_starts_anew_begins_with_a_record_alone(tmp_path, codec):  # noqa: F811
    images, path = drive(6), tmp_path / "again.db"
    for part in (images[:3], images[3:]):
        it = predicting(MemoryBank(path), codec)
        store(it, *part)
        it.recorder.close()
    with MemoryBank(path, readonly=True) as bank:  # noqa: F811
        found = sorted(bank, key=lambda one: one.id)
    assert [one.records for one in found] == [
        *offline(codec, images[:3]),
        *offline(codec, images[3:]),
    ]
    assert found[3].needed == () and found[4].reference == found[3].id


def test_frames_wait_for_the_key_record_after_them_until_the_commit(it, bank, codec):  # noqa: F811
    images = [*drive(5), *drive(5, scene=1)]
    for number, image in enumerate(images):
        it.recorder.work(frame(image, number))
    assert it.recorder.commit() and it.recorder.waiting == 0
    expected = [one.records for one in encode_sequence(codec, images, QUALITY)]
    assert [one.records for one in it.stored] == expected
    assert [one.stamp_ns for one in it.stored] == [T + i * 10**8 for i in range(10)]
    ids = [one.id for one in it.stored]
    assert sorted(ids) == list(range(1, 11)) and ids != sorted(ids)
    assert [session["start_ns"] for session in bank.info()["sessions"]] == [T]
    assert it.counts()["stored"] == 10 and bank.verify() == [] and bank.info()["kept"] == 0


@pytest.mark.parametrize("error", [ModelError("it is gone"), ZeroDivisionError()])
def test_what_cannot_be_encoded_costs_those_that_wait(it, codec, monkeypatch, error):  # noqa: F811
    def fail(*_):
        raise error

    images = drive(4)
    it.recorder.work(frame(images[0], 0))  # waits
    with monkeypatch.context() as broken:
        broken.setattr(codec, "encode", fail)
        with nullcontext() if isinstance(error, ModelError) else pytest.raises(ZeroDivisionError):
            it.recorder.work(frame(images[1], 1))
    assert it.counts() == {"failed": 2}
    assert it.recorder.commit() and it.stored == []
    assert len(store(it, *images[2:])) == 2


def test_frames_that_there_was_no_time_for_are_told_of(it, caplog):
    it.recorder.work(frame(view()))
    it.recorder.close()
    assert "1 frames that waited for" in caplog.text and "no time to encode them" in caplog.text


class AsTheKeyWas:
    """A codec to which each frame is like the key, and unlike the one before."""

    def __init__(self):
        self.made = 0

    def encode(self, image, *how):
        return record(0)

    def cost(self, *how):
        return 50.0

    def predict(self, image, quality, chain):
        self.made += 1
        return Prediction(record(self.made, *chain), 10.0 ** len(chain), 100.0)


def test_frames_are_held_no_longer_than_they_may_be_needed(bank):  # noqa: F811
    held, needed = [], []

    def coded(frames):
        for one in frames:
            needed.append(len(one.needed))

    sequences = Sequences(AsTheKeyWas(), bank, coded, pytest.fail)
    for number in range(20):
        one = frame(view(), number)
        sequences.encode(one, QUALITY, "fast", True)
        sequences.flush()
        held.append(weakref.ref(one))
    assert needed == [0, *[1] * 19]
    del one
    gc.collect()
    assert sum(ref() is not None for ref in held) == BESIDE + AHEAD
