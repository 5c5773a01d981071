"""What is redacted is gone from every byte of every file, and frames that needed it are whole."""

import os
import random
import signal
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import SIZE
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.opening import open_file
from gaussvae_ros.errors import BankError
from gaussvae_ros.likeness import describe
from gaussvae_ros.record import PREDICTED, Record, checksum, pack
from gaussvae_ros.redaction import Redaction, blanked

STAMP = 1_700_000_000_123_456_789  # ns, of frame 1; the others follow, unlike each other in 8 bytes
WINDOW = 12  # bytes that no two records share


class Bytes:
    """A codec of records of random bytes, which says what it was asked."""

    def __init__(self):
        self.made = 0

    def decode(self, records):
        return np.full((SIZE[1], SIZE[0]), len(records), np.uint8)

    def encode(self, image, quality=50, effort="fast"):
        self.made += 1
        return record(10_000 + self.made)


def record(number: int, *needed: bytes, n: int = 3000) -> bytes:
    """Longer than a page of the file."""
    payload = random.Random(number).randbytes(n)
    if needed:
        return pack(Record(PREDICTED, SIZE, payload, checksum(needed[-1])))
    return pack(Record("latent", SIZE, payload))


def descriptor(number: int) -> bytes:
    return random.Random(-number).randbytes(64)


def stamp(number: int) -> int:
    return STAMP + number * 7_777_777_777_777


def traces(folder: Path, number: int, data: bytes) -> list[str]:
    """What is left of a frame in any file of a folder."""
    pieces = {"record": data, "descriptor": descriptor(number)}
    windows = {
        piece[i : i + WINDOW]: name
        for name, piece in pieces.items()
        for i in range(0, len(piece) - WINDOW, WINDOW)
    }
    windows[f"secret {number};".encode()] = "label"
    windows[struct.pack(">q", stamp(number))] = "stamp"
    windows[struct.pack(">d", 1000 + number / 7)] = "pose"
    found = []
    for path in folder.iterdir():
        held = path.read_bytes()
        found += [f"{name} in {path.name}" for window, name in windows.items() if window in held]
    return sorted(set(found))


def fill(bank: MemoryBank, needs: list[int | None], first: int = 1) -> dict[int, list[bytes]]:
    """Frames of which each needs that at a place before it, or none; their records."""
    chains: dict[int, list[bytes]] = {}
    bank.begin_session("tour", start_ns=0)
    bank._db.execute("PRAGMA secure_delete=OFF")  # as most builds of SQLite have it
    for i, other in enumerate(needs, first):
        needed = [] if other is None else chains[other]
        chains[i] = [*needed, record(i, *needed)]
        made = bank.add(
            chains[i][-1],
            stamp_ns=stamp(i),
            reference=other,
            label=f"secret {i};",
            descriptor=descriptor(i),
            pose=Pose(1000 + i / 7, i, 0),
        )
        assert made == i
    return chains


def test_what_was_removed_before_leaves_traces(tmp_path):
    """Which is why there is more to do."""
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None] * 20)
        bank.flush()
        bank.remove([7])
    assert traces(tmp_path, 7, chains[7][-1])


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
    needs, depth = [], []
    for i in range(count):
        shallow = [j for j in range(i) if depth[j] < 3]
        needs.append(draw(st.sampled_from([None, *shallow])))
        depth.append(1 if needs[i] is None else depth[needs[i]] + 1)
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
        assert Redaction(bank, Bytes()).blank(1, [(0, 0, 9, 9)]) == [3, 2]
        left = {trace.split()[0] for trace in traces(tmp_path, 1, chains[1][-1])}
        assert left == {"label", "stamp", "pose"}
        assert bank.descriptor(1) not in (None, descriptor(1)) and bank.verify() == []
        assert not bank.get(3).needed and bank.get(4).records == chains[4]


@pytest.mark.parametrize("box", [(64, 0, 5, 5), (0, 48, 5, 5), (3, 3, 0, 5)])
def test_a_box_that_is_not_in_the_frame_is_refused(tmp_path, box):
    data = JpegCodec().encode(np.zeros((48, 64, 3), np.uint8))
    with MemoryBank(tmp_path / "a.db") as bank:
        bank.add(data, stamp_ns=0)
        with pytest.raises(BankError, match="no pixel of a frame of 64x48"):
            Redaction(bank, JpegCodec()).blank(1, [(0, 0, 5, 5), box])
        assert bank.get(1).data == data


def test_what_a_killed_writer_left_in_its_journal_goes_too(tmp_path):
    program = (
        "import os, signal, sys\n"
        "sys.path.insert(0, 'test')\n"
        "from test_redaction import MemoryBank, fill\n"
        "bank = MemoryBank(sys.argv[1])\n"
        "fill(bank, [None] * 9)\n"
        "bank.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.db")],
        cwd=Path(__file__).parents[1],
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    data = record(5)
    assert "record in a.db-wal" in traces(tmp_path, 5, data)
    with MemoryBank(tmp_path / "a.db") as bank:
        Redaction(bank, Bytes()).remove([5])
        assert traces(tmp_path, 5, data) == []
        assert traces(tmp_path, 4, record(4))


def test_a_reader_of_an_old_state_is_named_and_the_next_try_ends_it(tmp_path):
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None] * 9)
        bank.flush()
        with MemoryBank(tmp_path / "a.db", readonly=True) as idle:
            with closing(open_file(tmp_path / "a.db", readonly=True)) as busy:
                busy.execute("BEGIN")
                busy.execute("SELECT count(*) FROM frames").fetchone()
                with pytest.raises(BankError, match="a.db-wal still holds what was removed"):
                    Redaction(bank, Bytes()).remove([5])
            assert bank.ids() == [1, 2, 3, 4, 6, 7, 8, 9]
            Redaction(bank, Bytes()).remove([])
            assert traces(tmp_path, 5, chains[5][-1]) == []
            assert idle.ids() == bank.ids() and idle.verify() == []
    assert os.listdir(tmp_path) == ["a.db"]
