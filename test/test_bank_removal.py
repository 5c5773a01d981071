"""Frames that are removed from a memory file or get other records, and the records that others
need.
"""

import logging
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from references import chain, record
from test_bank_full import fill, small_disk, wait_until  # noqa: F401
from test_bank_references import add, add_chain, bank  # noqa: F401

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.forgetting import removing
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]


def kept(path) -> set[int]:
    with closing(sqlite3.connect(path)) as db:
        return {frame for (frame,) in db.execute("SELECT frame FROM kept")}


class Frames(RuleBasedStateMachine):
    """Any order of what can be done with frames; `there` is what must be there, `needs` by whom."""

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "m.db"
        self.bank, self.count = MemoryBank(self.path), 0
        self.there: dict[int, list[bytes]] = {}
        self.reference: dict[int, int | None] = {}  # also of frames that were removed

    def teardown(self):
        if hasattr(self, "bank"):
            self.bank.close()
            self.folder.cleanup()

    def next_record(self, *needed: bytes) -> bytes:
        self.count += 1
        return record(self.count, *needed)

    def add(self, chain: list[bytes], reference):
        frame_id = add(self.bank, chain[-1], self.count, reference)
        self.there[frame_id] = chain
        self.reference[frame_id] = self.bank.get(frame_id).reference

    def shallow(self) -> list[int]:
        return [frame_id for frame_id, chain in self.there.items() if len(chain) < 3]

    @rule()
    def add_alone(self):
        self.add([self.next_record()], None)

    @precondition(lambda self: self.shallow())
    @rule(data=st.data(), by_records=st.booleans())
    def add_predicted(self, data, by_records):
        reference = data.draw(st.sampled_from(self.shallow()))
        needed = self.there[reference]
        self.add([*needed, self.next_record(*needed)], needed if by_records else reference)

    @rule(length=st.integers(1, 2))
    def add_with_unknown(self, length):
        needed = []
        for _ in range(length):
            needed.append(self.next_record(*needed))
        self.add([*needed, self.next_record(*needed)], needed)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def remove(self, data):
        ids = data.draw(st.lists(st.sampled_from(list(self.there)), min_size=1, unique=True))
        self.bank.remove(ids)
        for frame_id in ids:
            del self.there[frame_id]

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def replace_by_one_alone(self, data):
        frame_id = data.draw(st.sampled_from(list(self.there)))
        new = self.next_record()
        if frame_id in self.needed():
            with pytest.raises(BankError, match="replace both"):
                self.bank.replace({frame_id: (new, None)})
            return
        self.bank.replace({frame_id: (new, None)})
        self.there[frame_id], self.reference[frame_id] = [new], None

    @rule()
    def flush(self):
        self.bank.flush()

    @rule()
    def compact(self):
        self.bank.compact()

    @rule()
    def open_again(self):
        self.bank.close()
        self.bank = MemoryBank(self.path)

    def needed(self) -> set[int]:
        """The frames whose record those that are there need, or what they need does."""
        others = self.reference | self.kept_by_the_file()
        needed, due = set(), [others[frame_id] for frame_id in self.there]
        while due:
            if (frame_id := due.pop()) is not None and frame_id not in needed:
                needed.add(frame_id)
                due.append(others[frame_id])
        return needed

    def kept_by_the_file(self) -> dict[int, int | None]:
        with self.bank._use():
            return dict(self.bank._db.execute("SELECT frame, reference FROM kept").fetchall())

    @invariant()
    def every_frame_is_whole_and_nothing_kept_in_vain(self):
        if hasattr(self, "bank"):
            assert {frame.id: frame.records for frame in self.bank} == self.there
            assert set(self.kept_by_the_file()) == self.needed() - set(self.there)


TestFrames = Frames.TestCase
TestFrames.settings = settings(max_examples=25, stateful_step_count=25)


def test_a_removed_frame_is_in_no_answer(bank):
    ids = [*add_chain(bank, 0), *add_chain(bank, 1)]
    bank.set_label(ids[0], "dock")
    bank.find_like(bytes(64))  # descriptors are in memory now
    with MemoryBank(bank.path, readonly=True) as reader:
        bank.flush()
        assert len(reader.find_like(bytes(64))) == 6
        bank.remove(ids[:2])
        bank.flush()
        for either in (bank, reader):
            assert len(either) == 4 and either.info()["labels"] == {}
            assert {frame.id for frame, _ in either.find_like(bytes(64), limit=9)} == set(ids[2:])
            assert either.find(near=(0, 0, 0), radius=1.5) == [] == either.find(label="dock")
            assert [frame.id for frame in either.window(ids[2], 9)] == [ids[2], ids[3], ids[5]]
            for frame_id in ids[:2]:
                with pytest.raises(BankError, match=f"no frame {frame_id}"):
                    either.get(frame_id)
            assert either.get(ids[2]).records == chain(0) and either.get(ids[2]).reference == ids[1]
    assert bank.verify() == []
    with pytest.raises(BankError, match="no frame 1"):  # and the others stay
        bank.remove([ids[3], 1])
    with pytest.raises(BankError, match="must be an integer"):
        bank.remove(["3"])
    bank.remove([])
    assert add(bank, record(9)) == ids[-1] + 1 and len(bank) == 5


def test_records_that_need_each_other_are_replaced_together(bank):
    ids, (key, near, far) = add_chain(bank, 0), chain(0)
    new = [record(71), record(72, record(71))]
    cases = [
        ({ids[0]: (new[0], None)}, "frame 2 needs the record of frame 1"),
        ({ids[1]: (new[1], ids[0])}, "not the one that it was predicted from"),
        ({ids[1]: (near, None)}, "name its reference"),
        ({99: (new[0], None)}, "no frame 99"),
        ({ids[2]: (pack(Record("latent", (4, 3), b"")), None)}, "keeps its size, 640x480 px"),
        ({ids[2]: (record(5, near), near)}, "must be an integer"),
    ]
    for change, why in cases:
        with pytest.raises(BankError, match=why):
            bank.replace(change)
    assert [frame.records for frame in bank] == [[key], [key, near], [key, near, far]]
    other = add(bank, record(3))
    bank.replace(
        {
            ids[2]: (record(8, record(3)), other),
            ids[1]: (new[1], ids[0]),
            ids[0]: (new[0], None),
        }
    )
    assert bank.get(ids[1]).records == new and bank.verify() == []
    assert bank.get(ids[2]).records == [record(3), record(8, record(3))]
    bank.remove([other])
    bank.replace({ids[2]: (record(6), None)})
    assert bank.info()["kept"] == 0 and bank.info()["tiers"] == {"latent": 2, "predicted": 1}


def test_space_goes_back_to_the_disk(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        ids = [add(bank, record(i, n=2000), i) for i in range(2000)]
        bank.flush()
        full = bank.size()
        bank.remove(ids[::2] + ids[1001::2])
        assert len(bank) == 500 and bank.verify() == []
        assert bank.size() < 0.65 * full
        bank.remove(ids[1:1001:2])
        assert bank.size() < 600_000
    assert bank.path.stat().st_size < 600_000


def test_what_removed_frames_left_apart_is_brought_together(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        ids = [add(bank, record(i, n=1500), i) for i in range(3000)]
        bank.remove(frame_id for frame_id in ids if frame_id % 3)
        before, apart, damaged = list(bank), bank.size(), ids[20]
        bank.flush()
        bank._db.execute(f"UPDATE records SET record = CAST(x'ff' AS TEXT) WHERE frame = {damaged}")
        with MemoryBank(bank.path, readonly=True) as reader:
            bank.compact()
            for either in (bank, reader):
                assert list(either) == [frame for frame in before if frame.id != damaged]
                assert [frame_id for frame_id, _ in either.verify()] == [damaged]
        assert bank.size() < 0.85 * apart


def test_a_killed_process_leaves_whole_frames(tmp_path):
    code = """
import sys
from test_bank_references import *
with MemoryBank(sys.argv[1]) as bank:
    made = [i for number in range(300) for i in add_chain(bank, number)]
    bank.flush()
    while True:
        print("removing", flush=True)
        bank.remove([i for i in made if i % 3 == 1])
        bank.compact()
        bank.remove([i for i in made if i % 3 != 1])
        made = [i for number in range(300) for i in add_chain(bank, number)]
"""
    for number in range(4):
        path = tmp_path / f"{number}.db"
        command = [sys.executable, "-c", code, path]
        path_of = {"PYTHONPATH": f"{REPO}:{REPO / 'test'}", "PATH": "/usr/bin:/bin"}
        writer = subprocess.Popen(command, env=path_of, stdout=subprocess.PIPE)
        for _ in range(number // 2 + 1):
            assert writer.stdout.readline() == b"removing\n"
        time.sleep(0.1 * number)
        writer.kill()
        assert writer.wait(60) == -signal.SIGKILL
        writer.stdout.close()
        with MemoryBank(path) as bank:
            assert bank.verify() == []
            for frame in bank:
                assert frame.records == chain(frame.stamp_ns // 10)[: frame.stamp_ns % 10 + 1]
            needed = {frame.reference for frame in bank} - {None}
            needed |= {i - 1 for i in needed if i % 3 == 2}  # the keys of a chain's middle
            assert kept(path) == needed - {frame.id for frame in bank}


def test_frames_are_removed_where_the_disk_is_full(small_disk):
    folder = small_disk(2048)
    with MemoryBank(folder / "m.db") as bank:
        ids = [i for number in range(300) for i in add_chain(bank, number)]
        bank.flush()
        bank._group._journal.merge()  # which is empty then, and its space is there
        fill(folder)
        bank.remove(ids[::3])
        bank.remove(ids[1::3])
        bank.remove(ids[2:600:3])
        for i in range(40):
            add(bank, record(i, n=3000), 3000 + i)
        bank.flush()
        assert [frame.id for frame in bank][:100] == ids[602::3] and len(bank) == 140
        assert bank.verify() == []


def test_removals_wait_where_there_is_no_space_for_the_journal(small_disk, caplog, monkeypatch):
    monkeypatch.setattr(removing, "PIECE_S", 60.0)  # however slow the machine
    caplog.set_level(logging.CRITICAL)
    path = small_disk(2048) / "m.db"
    with MemoryBank(path) as bank:
        ids = [i for number in range(300) for i in add_chain(bank, number)]
    with MemoryBank(path) as bank:
        fill(path.parent)
        with pytest.raises(BankError, match="full.*; not stored yet: 16 changes"):
            bank.remove(ids[::3])
        with MemoryBank(path, readonly=True) as reader:
            assert len(reader) == 900 and len(bank) == 884
            (path.parent / "ballast").unlink()
            wait_until(lambda: len(reader) == 884)  # by itself
        bank.remove(ids[:600:3])
        assert len(bank) == 684 and bank.verify() == []
