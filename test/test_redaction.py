"""What is redacted is gone from every byte of every file, and frames that needed it are whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redacting import Bytes, descriptor, fill, record, traces
from references import drawn_needs
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose, Text
from gaussvae_ros.errors import BankError
from gaussvae_ros.likeness import describe
from gaussvae_ros.maintenance.redaction import Redaction, blanked


def test_removed_frames_leave_none(tmp_path):
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None, 1, 2, None, 4, 1, None] + [None] * 30)
        bank.flush()
        bank.remove([4])  # its record is kept for 5
        bank.set_poses({2: Pose(1000 + 2 / 7, 0, 5), 6: Pose(0, 0, 0)})
        assert {name.split()[0] for name in traces(tmp_path, 2, chains[2][-1])} >= {"record"}
        codec = Bytes()
        whole = Redaction(bank, codec).remove([1, 2, 30, 31])  # just committed
        # 3 and 6 needed them; 5 needed what is only kept, of whatever time and place.
        assert sorted(whole) == [3, 5, 6] and codec.made == 3
        assert bank.ids() == [i for i in range(1, 38) if i not in (1, 2, 4, 30, 31)]
        for i in (1, 2, 4, 30, 31):
            assert traces(tmp_path, i, chains[i][-1]) == [], i
        assert traces(tmp_path, 20, chains[20][-1]) and bank.get(20).records == chains[20]
        assert bank.verify() == [] and bank.info()["kept"] == 0
        assert all(not frame.needed for frame in bank)
        assert bank.add(record(99), stamp_ns=0) == 38  # ids are not given again
    for i in (1, 2, 4, 30, 31):
        assert traces(tmp_path, i, chains[i][-1]) == []


@st.composite
def graphs(draw):
    """Of each frame, which one before it its record needs; which were removed, and which are to."""
    count = draw(st.integers(1, 10))
    needs = drawn_needs(draw, count)
    some = st.sets(st.integers(1, count))
    return [None if j is None else j + 1 for j in needs], draw(some), draw(some)


@settings(max_examples=30)
@given(graphs())
def test_whatever_needs_what(tmp_path_factory, made):
    needs, before, chosen = made
    folder = tmp_path_factory.mktemp("redact")
    with MemoryBank(folder / "a.db") as bank:
        chains = fill(bank, needs)
        bank.remove(before)
        there = set(chains) - before
        whole = Redaction(bank, Bytes()).remove(sorted(chosen & there))
        assert set(bank.ids()) == there - chosen and bank.verify() == []
        for i in before | chosen:
            assert traces(folder, i, chains[i][-1]) == []
        for frame in bank:
            untouched = frame.id not in whole
            assert (frame.records == chains[frame.id]) if untouched else not frame.needed


def test_a_box_is_gone_and_frames_that_need_its_frame_are_whole(tmp_path):
    rng = np.random.default_rng(0)
    image, codec = rng.integers(0, 256, (48, 64, 3), np.uint8), JpegCodec()
    with MemoryBank(tmp_path / "a.db") as bank:
        key = codec.encode(image, quality=95)
        old = describe(image).tobytes()
        first = bank.add(key, stamp_ns=0, descriptor=old, label="dock")
        later = codec.encode(255 - image, quality=95, reference=[key])
        second = bank.add(later, stamp_ns=1, reference=first, descriptor=old)
        before = codec.decode(bank.get(second).records)
        shown = codec.decode(key)
        work = Redaction(bank, codec, quality=95)
        assert work.blank(first, [(8, 16, 24, 16), (60, 40, 99, 99)]) == [second]
        frame = bank.get(first)
        picture = codec.decode(frame.records)
        for part in (np.s_[16:32, 8:32], np.s_[40:, 60:]):
            assert np.ptp(picture[part].reshape(-1, 3).astype(int), axis=0).max() < 40
            assert np.ptp(shown[part].reshape(-1, 3).astype(int), axis=0).max() > 100
        assert np.abs(picture[:, 40:56].astype(int) - shown[:, 40:56]).mean() < 15
        new = bank.descriptor(first)
        assert (
            new != old
            and new == describe(blanked(shown, [(8, 16, 24, 16), (60, 40, 4, 8)])).tobytes()
        )
        assert frame.label == "dock" and bank.find_like(new, limit=1)[0][0].id == first
        after = bank.get(second)
        assert not after.needed and bank.descriptor(second) == old
        assert np.abs(codec.decode(after.records).astype(int) - before).mean() < 15
        assert bank.verify() == []


def test_the_record_and_descriptor_before_a_box_was_filled_leave_no_trace(tmp_path):
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None, 1, 2, None] + [None] * 9)
        bank.flush()
        with MemoryBank(tmp_path / "a.db", readonly=True) as reader:
            assert reader.find_like(descriptor(1), limit=1)[0][1] == 1
            assert Redaction(bank, Bytes()).blank(1, [(0, 0, 9, 9)]) == [3, 2]
            assert reader.find_like(descriptor(1), limit=1)[0][1] < 0.9
            new = bank.descriptor(1)
            assert [f.id for f, score in reader.find_like(new, limit=9) if score == 1] == [1]
        left = {trace.split()[0] for trace in traces(tmp_path, 1, chains[1][-1])}
        assert left == {"label", "stamp", "pose"}
        assert new not in (None, descriptor(1)) and bank.verify() == []
        assert not bank.get(3).needed and bank.get(4).records == chains[4]


def test_a_copy_of_the_record_that_is_kept_for_others_goes_with_it(tmp_path):
    """As where a frame was added with the records that it needs, in a file opened anew."""
    with MemoryBank(tmp_path / "a.db") as bank:
        first = fill(bank, [None])[1][0]
    with MemoryBank(tmp_path / "a.db") as bank:
        bank.begin_session("later", start_ns=0)
        bank.add(record(2, first), stamp_ns=2, reference=(first,))
        other = record(3)
        bank.add(record(4, other), stamp_ns=4, reference=(other,))
        assert len(bank.kept()) == 2
        assert Redaction(bank, Bytes()).blank(1, [(0, 0, 9, 9)]) == [2]
        assert bank.get(3).needed == (other,) and bank.verify() == []
    assert not any(trace.startswith("record") for trace in traces(tmp_path, 1, first))


@pytest.mark.parametrize("box", [(64, 0, 5, 5), (0, 48, 5, 5), (3, 3, 0, 5)])
def test_a_box_that_is_not_in_the_frame_is_refused(tmp_path, box):
    data = JpegCodec().encode(np.zeros((48, 64, 3), np.uint8))
    with MemoryBank(tmp_path / "a.db") as bank:
        bank.add(data, stamp_ns=0)
        with pytest.raises(BankError, match="no pixel of a frame of 64x48"):
            Redaction(bank, JpegCodec()).blank(1, [(0, 0, 5, 5), box])
        assert bank.get(1).data == data


def test_damaged_frames_that_needed_what_is_gone_go_too(tmp_path):
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None, 1, 2, None, 4, 1] + [None] * 9)
        bank.remove([4])
        bank._db.execute("UPDATE records SET record = zeroblob(99) WHERE frame IN (2, 5)")
        bank._db.execute("UPDATE descriptors SET checksum = 0 WHERE frame = 7")
        bank.flush()
        work = Redaction(bank, Bytes())
        assert work.remove([1]) == [6]
        assert sorted(work.unreadable) == [2, 3, 5] and bank.info()["kept"] == 0
        assert bank.ids() == [*range(6, 16)]
        for i in (1, 4):
            assert traces(tmp_path, i, chains[i][-1]) == []
        assert work.blank(7, [(0, 0, 9, 9)]) == [] and bank.verify() == []


def test_what_was_read_in_a_box_goes_with_it(tmp_path):
    path = tmp_path / "a.db"
    with MemoryBank(path) as bank:
        fill(bank, [None, None])
        bank._db.execute("PRAGMA secure_delete=OFF")
        kept = Text("Lavendelweg", (40, 20, 8, 4), 0.9)
        bank.set_texts(1, [Text("Quittengasse", (2, 2, 9, 5), 0.8), kept])
        bank.set_texts(2, [Text("Quittengasse", (2, 2, 9, 5), 0.8)])
        for frame_id in (1, 2):
            bank.set_vector(frame_id, "clip", np.arange(1, 9))
        bank.flush()
        Redaction(bank, Bytes()).blank(1, [(0, 0, 3, 3)])
        assert bank.texts(1) == [kept] and bank.vectors(1) == {}
        assert bank.ids(text="quittengasse") == [2] and len(bank.vectors(2)) == 1
        Redaction(bank, Bytes()).remove([2])
        assert bank.ids(text="lavendelweg") == [1] and bank.verify() == []
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()
    assert b"quitten" not in held and b"lavendelweg" in held
