"""Frames of several memory files in one: sessions, what belongs to frames, what records need."""

import csv
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from references import chain, drawn_needs, record
from test_bank_references import add, add_chain
from test_cli import run

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.merging import copy_frames


@st.composite
def graphs(draw):
    """Of each frame, which one before it its record needs; which are removed, and which chosen."""
    count = draw(st.integers(1, 12))
    needs = drawn_needs(draw, count)
    some = st.sets(st.integers(0, count - 1))
    return needs, draw(some), draw(st.none() | some)


@settings(max_examples=40)
@given(st.lists(graphs(), min_size=1, max_size=2))
def test_every_frame_is_as_whole_in_the_copy(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("merge")
    wanted: dict[int, list[bytes]] = {}
    with MemoryBank(folder / "all.db") as target:
        for number, (needs, removed, chosen) in enumerate(made):
            chains: list[list[bytes]] = []
            with MemoryBank(folder / f"{number}.db") as bank:
                for i, other in enumerate(needs):
                    needed = [] if other is None else chains[other]
                    chains.append([*needed, record(100 * number + i, *needed)])
                    reference = None if other is None else other + 1
                    add(bank, chains[-1][-1], 100 * number + i, reference)
                bank.remove([i + 1 for i in removed])
                ids = None if chosen is None else [i + 1 for i in chosen - removed]
                copied = copy_frames(bank, target, ids).frames
                there = set(range(len(needs))) - removed
                assert {old - 1 for old in copied} == there & (there if ids is None else chosen)
                wanted |= {100 * number + old - 1: chains[old - 1] for old in copied}
        assert {frame.stamp_ns: frame.records for frame in target} == wanted
        assert target.verify() == []
        own = {data for records in wanted.values() for data in records[-1:]}
        needed = {data for records in wanted.values() for data in records} - own
        assert target.info()["kept"] == len(needed)  # each once
        target.remove(target.ids())
        assert target.info()["kept"] == 0


def test_what_belongs_to_frames_and_sessions_comes_along(tmp_path):
    with MemoryBank(tmp_path / "a.db") as one, MemoryBank(tmp_path / "b.db") as two:
        one.begin_session("empty", start_ns=5)
        monday = one.begin_session("monday", start_ns=1, map_id="hall")
        tally = {"received": 9, "gated": 7, "dropped": 0, "poses_missing": 1}
        one.set_tally(monday, tally)
        key, near, _ = chain(0)
        first = one.add(key, stamp_ns=1, camera="front", label="dock", frame_id="optical")
        how = {"pose": Pose(1, 2, 3, reference="odom"), "descriptor": bytes(64)}
        one.add(near, stamp_ns=2, camera="front", reference=first, **how)
        one.set_pose(2, Pose(3, 2, 1))
        one.set_calibration("front", {"width": 640})
        one.add_model(b"abc", "first", b"x")
        two.add(record(7), stamp_ns=0, camera="front")
        copied = copy_frames(two, one)
        assert (copied.frames, copied.sessions, copied.lost) == ({1: 3}, {1: 3}, 0)
        sessions = one.info()["sessions"]
        assert [s["name"] for s in sessions] == ["empty", "monday", "unnamed"]
        assert copy_frames(one, two, [2]).frames == {2: 2}
        frame = two.get(2)
        assert frame.records == [key, near] and frame.frame_id == "optical"
        assert frame.pose == Pose(3, 2, 1) and two.original_pose(2) == how["pose"]
        assert two.descriptor(2) == bytes(64) and two.model(b"abc") == b"x"
        assert two.calibration(frame.session, "front") == {"width": 640}
        [session] = two.info()["sessions"][1:]
        assert session["name"] == "monday" and session["start_ns"] == 1
        assert session["map_id"] == frame.map_id == "hall"
        assert {count: session[count] for count in tally} == tally
        assert copy_frames(one, two, [1]).frames == {1: 3} and two.get(3).label == "dock"


def test_merge_writes_a_new_file(tmp_path, capsys):
    paths = [tmp_path / f"{i}.db" for i in range(2)]
    for path in paths:
        with MemoryBank(path) as bank:
            for number in range(4):
                add_chain(bank, number)
    with MemoryBank(paths[1], readonly=True) as bank:  # a reader, and the first is being written
        with MemoryBank(paths[0]):
            code, out, _ = run(capsys, "bank", "merge", *paths, "-o", tmp_path / "c.db", "--json")
    assert code == 0 and json.loads(out)["frames"] == 24 and json.loads(out)["damaged"] == 0
    with MemoryBank(tmp_path / "c.db", readonly=True) as bank:
        assert [f.records for f in bank.find(session=2)] == [
            chain(number)[: i + 1] for number in range(4) for i in range(3)
        ]
    code, _, err = run(capsys, "bank", "merge", paths[0], "-o", tmp_path / "c.db")
    assert code == 2 and "exists already" in err
    part = tmp_path / "part.db"
    assert run(capsys, "bank", "merge", *paths, "-o", part, "--after", 11, "--limit", 2)[0] == 0
    with MemoryBank(part, readonly=True) as bank:
        assert [f.records for f in bank.find(session=1)] == [chain(1)[:2], chain(1)]
        assert len(bank) == 4 and bank.info()["kept"] == 1  # the same one
    code, _, err = run(
        capsys, "bank", "merge", paths[0], tmp_path / "d.db", "-o", tmp_path / "e.db"
    )
    assert code == 2 and "does not exist" in err
    made = {path.name for path in tmp_path.glob("*.db")} | {p.name for p in tmp_path.glob(".*")}
    assert made == {"0.db", "1.db", "c.db", "part.db"}


def test_merge_says_which_id_became_which(tmp_path, capsys):
    paths = [tmp_path / name for name in ("a.db", 'b,"c".db')]
    for k, path in enumerate(paths):
        with MemoryBank(path) as bank:
            bank.begin_session("tour", start_ns=k)
            bank.begin_session(f"tour {k}", start_ns=k)
            for i in range(3):
                bank.add(record(10 * k + i), stamp_ns=100 * k + i, label=f"{k} {i}")
            bank.remove([2])
    made, table = tmp_path / "all.db", tmp_path / "ids.csv"
    code, out, _ = run(capsys, "bank", "merge", *paths, "-o", made, "--ids", table, "--json")
    figures = json.loads(out)
    assert code == 0 and (figures["frames"], figures["damaged"]) == (4, 0)
    with MemoryBank(made, readonly=True) as bank, table.open(newline="") as file:
        rows = list(csv.DictReader(file))
        assert len(rows) == 4
        for row in rows:
            k = [str(path) for path in paths].index(row["bank"])
            frame = bank.get(int(row["new_id"]))
            assert frame.label == f"{k} {int(row['id']) - 1}"
        names = {session["id"]: session["name"] for session in bank.info()["sessions"]}
    found = [(s["bank"], s["id"], names[s["new_id"]], s["name"]) for s in figures["sessions"]]
    assert found == [
        (str(path), i, name, name)
        for k, path in enumerate(paths)
        for i, name in ((1, "tour"), (2, f"tour {k}"))
    ]
    assert table.stat().st_mode & 0o777 == 0o600
    code, out, _ = run(capsys, "bank", "merge", *paths, "-o", tmp_path / "again.db")
    assert code == 0 and f"session 2 of {paths[1]} is session 4: tour 1" in out.splitlines()


def test_a_memory_that_grows_meanwhile_is_merged_as_far_as_it_was(tmp_path, capsys, monkeypatch):
    ids = MemoryBank.ids
    with MemoryBank(tmp_path / "a.db") as writer:
        add_chain(writer, 0)
        writer.flush()

        def grow(bank: MemoryBank, **how: object) -> list[int]:
            """Just before the merge asks what there is, and just after."""
            found = []
            for _ in range(2):
                writer.begin_session("later", start_ns=9)
                writer.add(record(99), stamp_ns=9)
                writer.flush()
                found = found or ids(bank, **how)
            return found

        monkeypatch.setattr(MemoryBank, "ids", grow)
        made = tmp_path / "b.db"
        code, out, _ = run(capsys, "bank", "merge", tmp_path / "a.db", "-o", made, "--json")
    assert code == 0 and (json.loads(out)["frames"], json.loads(out)["damaged"]) == (4, 0)
    with MemoryBank(made, readonly=True) as bank:
        assert bank.verify() == [] and len(list(bank)) == 4
