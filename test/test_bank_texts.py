"""Words in a memory file: what was read in frames, labels and names of sessions, found together."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_likeness import REPO, descriptor, record

from gaussvae_ros.bank import MemoryBank, Pose, Text
from gaussvae_ros.bank.care import repairing
from gaussvae_ros.bank.merging import copy_frames
from gaussvae_ros.bank.search import texts
from gaussvae_ros.errors import BankError

EXIT = Text("Fire EXIT", (10, 20, 100, 30), 0.9)
ROOM = Text("10.01", (300, 40, 60, 20), 0.75)


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.begin_session("monday tour", start_ns=0)
        for k in range(4):
            bank.add(record(k), stamp_ns=k, pose=Pose(k, 0, 0), descriptor=descriptor(k))
        bank.begin_session("Besuch im Büro", start_ns=100)
        bank.add(record(4), stamp_ns=100, pose=Pose(9, 0, 0))
        bank.set_texts(2, [EXIT, ROOM])
        bank.set_texts(4, [Text("exit", (0, 0, 9, 9), 0.6)])
        bank.set_label(3, "fire door")
        yield bank


def ids(bank, text, **conditions):
    return [frame.id for frame in bank.find(text=text, **conditions)]


def asked(bank):
    assert ids(bank, "exit") == [2, 4] and ids(bank, "FIRE") == [2, 3]
    assert ids(bank, "fire exit") == ids(bank, "exit  fire") == ids(bank, '"fire" exit') == [2]
    assert ids(bank, "10.01") == [2] and ids(bank, "10") == [2] and ids(bank, "1") == []
    assert ids(bank, "ex*") == [2, 4] and ids(bank, "do* fire") == [3]
    assert ids(bank, "monday") == [1, 2, 3, 4] and ids(bank, "buro") == [5]
    assert ids(bank, "monday exit") == [2, 4] and ids(bank, "tour besuch") == []
    assert ids(bank, "fire - exit") == ids(bank, '" exit & fire *') == [2]
    assert ids(bank, "exit OR fire") == []
    assert bank.texts(2) == [EXIT, ROOM] and bank.texts(1) == [] and bank.info()["texts"] == 3


def test_frames_are_found_by_words_read_in_them_their_labels_and_sessions(bank):
    asked(bank)
    bank.flush()
    with MemoryBank(bank.path, readonly=True) as reader:
        asked(reader)


def test_words_go_with_every_other_condition(bank):
    assert ids(bank, "exit", near=(1, 0, 0), radius=0.5) == [2]
    assert ids(bank, "monday", near=(1, 0, 0), radius=1, nearest_first=True, limit=2) == [2, 1]
    assert ids(bank, "exit", near=(9, 0, 0), radius=100, nearest_first=True) == [4, 2]
    assert ids(bank, "exit", after=3) == [4] and ids(bank, "exit", session=2) == []
    assert ids(bank, "fire", label="fire door") == [3] and ids(bank, "exit", limit=1) == [2]
    assert [f.id for f, _ in bank.find_like(descriptor(3), text="exit")] == [4, 2]
    assert list(bank.each_id(text="monday")) == [1, 2, 3, 4] and bank.ids(text="fire") == [2, 3]


def test_words_follow_their_frames(bank):
    bank.set_texts(2, [ROOM])
    assert ids(bank, "exit") == [4] and bank.texts(2) == [ROOM]
    bank.set_label(3, "dock")
    assert ids(bank, "fire") == [] and ids(bank, "dock") == [3]
    bank.set_label(3, None)
    bank.remove([4])
    assert ids(bank, "dock") == ids(bank, "exit") == [] and bank.info()["texts"] == 1
    bank.flush()
    bank._db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_the_index_stays_that_of_the_words_whatever_changes(tmp_path_factory, data):
    words = st.sampled_from(["exit", "fire exit", "214", "Büro 214", "出口"])
    with MemoryBank(tmp_path_factory.mktemp("m") / "m.db") as bank:
        model: dict[int, list[str]] = {}
        for k in range(data.draw(st.integers(1, 12))):
            kind = data.draw(st.sampled_from(["add", "texts", "label", "remove", "flush"]))
            some = sorted(model)[k % len(model)] if model else None
            if kind == "add" or some is None:
                model[bank.add(record(k), stamp_ns=k)] = ["", ""]
            elif kind == "texts":
                lines = data.draw(st.lists(words, max_size=3))
                bank.set_texts(some, [Text(line, (0, 0, 1, 1), 1.0) for line in lines])
                model[some][0] = " ".join(lines)
            elif kind == "label":
                label = data.draw(st.none() | words)
                bank.set_label(some, label)
                model[some][1] = label or ""
            elif kind == "remove":
                bank.remove([some])
                del model[some]
            else:
                bank.flush()
        for word in ("exit", "fire", "214", "buro", "出口"):
            told = {
                i: " ".join(lines).casefold().replace("ü", "u").split()
                for i, lines in model.items()
            }
            assert ids(bank, word) == [i for i, words in told.items() if word in words]
        bank.flush()
        bank._db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        assert bank.verify() == []


def test_nothing_of_removed_words_is_left_after_a_scrub(bank):
    bank.set_texts(1, [Text("Quarzsandstein", (0, 0, 5, 5), 1.0)])
    bank.set_label(1, "Labradorit")
    bank.flush()
    bank.remove([1])
    bank.scrub()
    for file in bank.path.parent.glob("m.db*"):
        held = file.read_bytes().lower()
        assert b"quarzsand" not in held and b"labrador" not in held
    assert ids(bank, "exit") == [2, 4] and bank.verify() == []


def test_words_come_along_into_copies_merges_and_repairs(bank, tmp_path):
    bank.backup(tmp_path / "copy.db")
    with MemoryBank(tmp_path / "copy.db") as copy:
        asked(copy)
        copy.set_label(1, "copied")
        assert ids(copy, "copied") == [1]
    with MemoryBank(tmp_path / "merged.db") as merged:
        copy_frames(bank, merged)
        asked(merged)
    bank.flush()
    bank._db.execute("UPDATE frames SET camera = 'other' WHERE id = 1")  # against its checksum
    bank._db.conn.commit()
    path = bank.path
    bank.close()
    assert list(repairing.repair(path).lost) == [1]
    with MemoryBank(path) as mended:
        assert ids(mended, "exit") == [2, 4] and ids(mended, "monday") == [2, 3, 4]
        assert mended.texts(2) == [EXIT, ROOM] and mended.verify() == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE words_data SET block = zeroblob(length(block)) WHERE id > 10",
        "DELETE FROM words_data WHERE id > 10",
        "INSERT INTO words (words) VALUES ('delete-all')",
        "INSERT INTO words (rowid, text) VALUES (4000, 'stray')",
    ],
)
def test_an_index_that_is_damaged_is_named_and_made_anew(bank, change):
    assert bank.verify() == []
    bank.flush()
    bank._db.execute(change)
    bank._db.conn.commit()
    path = bank.path
    bank.close()
    with MemoryBank(path, readonly=True) as reader:
        [(frame_id, problem), *_] = reader.verify()
        assert frame_id is None and "index of words" in problem and len(list(reader)) == 5
    assert not repairing.repair(path).lost
    with MemoryBank(path) as mended:
        asked(mended)


def test_a_file_of_the_eighth_schema_is_read_as_it_is_and_gets_its_index(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank8.db.gz").read_bytes()))
    with MemoryBank(path, readonly=True) as reader:
        assert reader.texts(2) == [] and reader.encoders() == {} and len(reader) == 6
        with pytest.raises(BankError, match="old.db has no index of words yet: open it once"):
            reader.find(text="fire")
        with MemoryBank(path) as bank:
            for either in (bank, reader):
                assert ids(either, "fire") == [2] and ids(either, "tuesday") == [4, 5, 6]
            bank.set_texts(6, [EXIT])
            assert ids(bank, "fire") == [2, 6] and bank.verify() == []


def test_a_sqlite_without_the_index_is_named(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    MemoryBank(path).close()
    monkeypatch.setattr(texts, "FTS", "fts99")
    for file in (path, tmp_path / "new.db"):
        with pytest.raises(BankError, match="SQLite of this Python has no FTS99"):
            MemoryBank(file)
    assert not (tmp_path / "new.db").exists()
    MemoryBank(path, readonly=True).close()


@pytest.mark.parametrize(
    "wrong",
    [
        "exit",
        Text(7, (0, 0, 1, 1), 1),
        Text("a", (0, 0, 0, 1), 1),
        Text("a", (0, 0, 1), 1),
        Text("a", (0, 0, 1, 1.5), 1),
        Text("a", None, 1),
        Text("a", (0, 0, 1, 1), None),
        Text("a", (0, 0, 1, 1), "sure"),
        Text("a", (0, 0, 1, 1), 1.5),
        Text("a", (0, 0, 1, 1), float("nan")),
    ],
)
def test_what_is_no_text_is_refused_and_changes_nothing(bank, wrong):
    with pytest.raises(BankError):
        bank.set_texts(2, [ROOM, wrong])
    assert bank.texts(2) == [EXIT, ROOM]


def test_questions_without_words_and_frames_that_are_not_there_are_refused(bank):
    for text in ("", "  ", "two\nlines", 7, "-", "*", '"', "... &"):
        with pytest.raises(BankError):
            bank.find(text=text)
    for asked_for in (lambda: bank.set_texts(99, [EXIT]), lambda: bank.texts(99)):
        with pytest.raises(BankError, match="no frame 99"):
            asked_for()
    with pytest.raises(BankError, match="at most 200"):
        bank.set_texts(1, [EXIT] * 201)
    bank.set_texts(1, [Text(" two\n lines\x00 ", (0, 0, 1, 1), 1), Text(" \n", (0, 0, 1, 1), 1)])
    assert [text.text for text in bank.texts(1)] == ["two lines"] and ids(bank, "lines") == [1]
