"""Predicted records: their envelope, and the frames that need others in a memory file."""

import gzip
import logging
import re
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import chain, record
from test_bank_full import fill, small_disk, wait_until  # noqa: F401 (one is a fixture)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import PREDICTED, TIERS, Record, checksum, pack, unpack

REPO = Path(__file__).parents[1]
SIZES = st.tuples(st.integers(1, 65535), st.integers(1, 65535))


@given(SIZES, st.binary(max_size=20), st.integers(0, 2**32 - 1))
def test_a_predicted_record_names_its_reference(size, payload, reference):
    record = Record(PREDICTED, size, payload, reference)
    assert unpack(pack(record)) == record
    assert pack(record)[-8:-4] == reference.to_bytes(4, "little")
    assert checksum(pack(record)) == int.from_bytes(pack(record)[-4:], "little")


@pytest.mark.parametrize("tier", [*TIERS, PREDICTED])
def test_only_predicted_records_name_a_reference(tier):
    with pytest.raises(RecordError, match="name their reference"):
        Record(tier, (4, 3), b"", None if tier == PREDICTED else 7)


def test_a_predicted_record_without_space_for_its_reference_is_refused():
    data = pack(Record("latent", (4, 3), b"abc"))
    body = data[:1] + bytes([data[1] + 1]) + data[2:-4]
    with pytest.raises(RecordError, match="too short"):
        unpack(body + zlib.crc32(body).to_bytes(4, "little"))


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


def add(bank: MemoryBank, data: bytes, number: int = 0, reference=None) -> int:
    return bank.add(
        data,
        stamp_ns=number,
        camera="ab"[number % 2],
        pose=Pose(number, 0, 0),
        descriptor=bytes([number % 100]) * 64,
        reference=reference,
    )


def add_chain(bank: MemoryBank, number: int, length: int = 3) -> list[int]:
    ids: list[int] = []
    for data in chain(number, length):
        ids.append(add(bank, data, 10 * number + len(ids), ids[-1] if ids else None))
    return ids


def test_what_does_not_fit_its_reference_is_refused(bank):
    key, near, far = chain(0)
    ids = add_chain(bank, 0)
    gone = add(bank, record(7))
    bank.remove([gone])
    cases = [
        (near, None, "name its reference"),
        (near, [], "name its reference"),
        (key, ids[0], "has no reference"),
        (near, 99, "no such frame"),
        (record(1, record(7)), gone, "no such frame"),
        (near, ids[1], "not the one that it was predicted from"),
        (far, ids[0], "not the one that it was predicted from"),
        (record(1, far), ids[2], "more than 3"),
        (record(1, far), [key, near, far], "at most 2 others, not 3"),
        (far, [near], "to need the one before"),
        (far, [near, key], "to need the one before"),
        (near, True, "must be an integer"),
    ]
    for data, reference, why in cases:
        with pytest.raises(BankError, match=why):
            add(bank, data, 1, reference)
    for no_record in (b"no record", 7, "text", key[:-1]):
        with pytest.raises(RecordError):
            add(bank, far, 1, [key, no_record])
    assert len(bank) == 3 and bank.verify() == [] and bank.info()["kept"] == 0


def test_every_question_gives_all_that_decoding_needs(bank):
    chains = {i: chain(i) for i in range(4)}
    ids = {i: add_chain(bank, i) for i in chains}
    wanted = {ids[i][j]: chains[i][: j + 1] for i in chains for j in range(3)}

    def check(frames):
        assert frames and all(frame.records == wanted[frame.id] for frame in frames)
        return frames

    check([bank.get(frame_id) for frame_id in wanted])
    check([bank.nearest(31), bank.newest(), bank.newest("a")])
    check(bank.find(near=(32, 0, 0), radius=12, nearest_first=True))
    check([frame for frame, _ in bank.find_like(b"a" * 64, limit=12)])
    check(bank.window(ids[2][1], 5))
    found = check(bank.find())
    assert len(check(list(bank))) == len(found) == len(wanted)
    for frame in found:  # each record is there once
        for needed in frame.needed:
            assert any(needed is other.data for other in found)
    assert [frame.reference for frame in found[:3]] == [None, *ids[0][:2]]
    assert [frame.tier for frame in found[:3]] == ["latent", "predicted", "predicted"]
    assert bank.info()["tiers"] == {"latent": 4, "predicted": 8}


def test_references_that_wait_for_their_commit_and_readers(bank):
    ids = add_chain(bank, 0)
    assert bank.waiting == 3 and bank.get(ids[2]).records == chain(0)
    with MemoryBank(bank.path, readonly=True) as reader:
        bank.flush()
        assert reader.get(ids[2]).records == chain(0)
        with pytest.raises(BankError, match="readonly"):
            reader.remove(ids)


def test_a_frame_comes_with_records_that_the_file_does_not_have(bank):
    key, near, far = chain(0)
    first = add(bank, far, 0, [key, near])
    assert bank.get(first).records == [key, near, far] and bank.get(first).reference < 0
    other = record(99, near)
    second, third = add(bank, other, 1, (key, near)), add(bank, record(98, key), 2, [key])
    assert bank.info()["kept"] == 2 and len(bank) == 3 and bank.verify() == []
    bank.remove([first, second])
    assert bank.info()["kept"] == 1 and bank.get(third).needed == (key,)
    fourth = add(bank, key, 3)
    bank.remove([third])
    assert bank.info()["kept"] == 0
    fifth = add(bank, near, 4, [key])  # the frame that was stored lately
    assert bank.get(fifth).reference == fourth


def test_what_waits_in_a_file_that_is_gone_keeps_what_it_needs(tmp_path):
    path = tmp_path / "m.db"
    key, near, far = chain(0)
    with MemoryBank(path) as bank:
        first = add(bank, key)
        bank.flush()
        second = add(bank, near, 1, first)
        add(bank, far, 2, second)
        removed = add(bank, record(5, key), 3, first)
        bank.remove([removed])
        for file in tmp_path.glob("m.db*"):
            file.unlink()
        frames = bank.reopen()
        assert [frame.records for frame in frames] == [[key, near], [key, near, far]]
        for frame in frames:
            add(bank, frame.data, frame.stamp_ns, frame.needed)
        assert [frame.records for frame in bank] == [frame.records for frame in frames]
        assert bank.info()["kept"] == 1 and bank.verify() == []


def test_records_and_what_they_need_wait_for_space_together(small_disk, caplog):
    caplog.set_level(logging.CRITICAL)
    path = small_disk(1024) / "m.db"
    with MemoryBank(path) as bank:
        ids = [add_chain(bank, 0)]
        bank.flush()
        fill(path.parent, leave=8)
        refused = 0
        for number in range(1, 80):
            ids.append(add_chain(bank, number))
            try:
                bank.flush()
            except BankError:
                refused += 1
        assert refused and bank.waiting > 20
        assert bank.get(ids[79][2]).records == chain(79)
        bank.remove([ids[79][0]])
        (path.parent / "ballast").unlink()
        wait_until(lambda: bank.waiting == 0)  # by itself
    with MemoryBank(path, readonly=True) as bank:
        wanted = [chain(number)[: i + 1] for number in range(80) for i in range(3)]
        del wanted[-3]
        assert [frame.records for frame in bank] == wanted and bank.info()["kept"] == 1
        bank.backup(path.with_name("copy.db"))
        with MemoryBank(path.with_name("copy.db"), readonly=True) as copy:
            assert list(copy) == list(bank) and bank.verify() == copy.verify() == []


# Damage


def damages(path, frame_id: int, table: str = "records") -> list[tuple[int | None, str]]:
    """What a file whose record of a frame is altered says of itself."""
    with closing(sqlite3.connect(path)) as db:
        sql = f"SELECT record FROM {table} WHERE frame = ?"
        (data,) = db.execute(sql, [frame_id]).fetchone()
        altered = data[:20] + bytes([data[20] ^ 1]) + data[21:]
        db.execute(f"UPDATE {table} SET record = ? WHERE frame = ?", [altered, frame_id])
        db.commit()
    with MemoryBank(path, readonly=True) as bank:
        return bank.verify()


@given(length=st.integers(1, 3), hit=st.integers(0, 2), removed=st.booleans())
def test_a_damaged_record_costs_those_that_need_it(tmp_path_factory, length, hit, removed):
    path = tmp_path_factory.mktemp("damage") / "m.db"
    hit = min(hit, length - 1)
    with MemoryBank(path) as bank:
        ids = [add_chain(bank, i, length) for i in range(3)]
        branch = add(bank, record(99, *chain(1, 1)), 9, ids[1][0])
        removed = removed and hit < length - 1
        if removed:
            bank.remove([ids[1][hit]])
    found = damages(path, ids[1][hit], "kept" if removed else "records")
    lost = [*ids[1][hit:], *([branch] if hit == 0 else [])]
    assert sorted(n or ids[1][hit] for n, _ in found) == sorted(lost)  # each once
    for frame_id, problem in found:
        if frame_id == ids[1][hit]:
            assert problem == f"frame {frame_id} is damaged: its checksum does not match"
        else:
            assert f"the record of frame {ids[1][hit]} is damaged: " in problem
            assert frame_id is None or f"frame {frame_id} does not decode: " in problem
    with MemoryBank(path) as bank:
        sound = {n for chain in ids for n in chain} | {branch}
        assert {frame.id for frame in bank} == sound - set(lost)
        for frame_id in set(lost) - {ids[1][hit]}:
            with pytest.raises(BankError, match=f"frame {frame_id} does not decode"):
                bank.get(frame_id)
        whole = [frame_id for frame_id in lost if frame_id != ids[1][hit] or not removed]
        bank.remove(whole)
        assert bank.verify() == [] and bank.info()["kept"] == 0


@pytest.mark.parametrize(
    "change, why",
    [
        ("UPDATE frames SET reference = NULL WHERE id = 2", "nothing says which"),
        ("UPDATE frames SET reference = 'x' WHERE id = 2", "nothing says which"),
        ("UPDATE frames SET reference = 99 WHERE id = 2", "frame 99 is not there"),
        ("UPDATE frames SET reference = 4 WHERE id = 2", "not the one that it was predicted from"),
        ("UPDATE frames SET reference = 2 WHERE id = 2", "not the one|more than 3"),
        ("DELETE FROM records WHERE frame = 1", "frame 1 is not there"),
        ("UPDATE records SET record = 'text' WHERE frame = 1", "frame 1 is damaged: it is not"),
    ],
)
def test_a_reference_that_is_not_there_is_named(tmp_path, change, why):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        add_chain(bank, 0)
        add_chain(bank, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER frames_update")
        db.execute(change)
        db.commit()
    with MemoryBank(path, readonly=True) as bank:
        found = dict(bank.verify())
        assert all(re.search(why, found[frame_id]) for frame_id in (2, 3))
        assert [frame.id for frame in bank if frame.id > 3] == [4, 5, 6]
        with pytest.raises(BankError, match=why):
            bank.get(3)


# Files of earlier releases


def test_a_file_without_references_is_read_as_it_is_and_gains_them(tmp_path):
    path = tmp_path / "m.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank3.db.gz").read_bytes()))
    with MemoryBank(path, readonly=True) as reader:
        assert [frame.records for frame in reader] == [[frame.data] for frame in reader.find()]
        assert reader.info()["schema"] == 3 and reader.info()["kept"] == 0
        assert reader.verify() == [] and len(reader.beginnings(9)) == 3
        key = reader.get(1).data
        with MemoryBank(path) as bank:
            near = add(bank, record(1, key), 4, 1)
            bank.remove([1])
            bank.flush()
            for either in (reader, bank):  # the reader opened it as it was
                assert either.get(near).records == [key, record(1, key)]
                assert either.info()["kept"] == 1 and either.verify() == []
                assert [frame.id for frame in either] == [2, 3, near]
                assert sum(either.beginnings(9).values()) == 4
