"""`gaussvae fleet` from robots to answers, over a server of S3 and a PostgreSQL."""

import csv
import json
import os
import re
import sys

import numpy as np
import pytest
from fleets import drive
from PIL import Image
from standin import JpegCodec
from test_cli import codec, run  # noqa: F401

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import FleetError
from gaussvae_ros.recognition.places import describe

pytest.importorskip("pyarrow")
psycopg = pytest.importorskip("psycopg")
S3FileSystem = pytest.importorskip("s3fs").S3FileSystem
pytest.importorskip("flask_cors")
moto = pytest.importorskip("moto.server")

from gaussvae_ros.fleet.archive import Archive  # noqa: E402
from gaussvae_ros.fleet.pull import rows_of  # noqa: E402
from gaussvae_ros.fleet.push import push  # noqa: E402

s3server = []  # the one that runs now
START = 1_767_225_600_000_000_000  # ns, 2026-01-01
SECOND = 10**9


@pytest.fixture(scope="module")
def s3():
    """A server of S3 with an empty bucket; the environment leads to it."""
    with pytest.MonkeyPatch.context() as patch:
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        S3FileSystem().mkdir("fleet")
        s3server[:] = [server]
        yield "s3://fleet/archive"
        s3server[0].stop()


def picture(i: int) -> np.ndarray:
    return (
        np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    )


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """The memories of two robots that took the same way, an hour apart."""
    folder = tmp_path_factory.mktemp("robots")
    for hour, robot in enumerate(("r1", "r2")):
        with MemoryBank(folder / f"{robot}.db") as bank:
            bank.begin_session(f"tour of {robot}", start_ns=START + hour, map_id="hall")
            for i in range(4):
                bank.add(
                    JpegCodec().encode(picture(i)),
                    stamp_ns=START + (3600 * hour + i) * SECOND,
                    pose=Pose(i, 0.0, 0.0),
                    label="dock" if i == 2 else None,
                    descriptor=describe(picture(i)).tobytes(),
                )
    return folder


@pytest.fixture(scope="module")
def fleet(banks, s3, postgres):
    """Both pushed, each by its own role. The archive and the catalogue, as a reader."""
    from gaussvae_ros.cli import main

    database = postgres("commands")
    assert (
        main(["fleet", "catalogue", database, "--robot", "r1", "--robot", "r2", "--reader", "eva"])
        == 0
    )
    for robot in ("r1", "r2"):
        own = psycopg.conninfo.make_conninfo(database, user=robot)
        names = "--robot", robot, "--catalogue", own
        assert main(["fleet", "push", str(banks / f"{robot}.db"), "--to", s3, *names]) == 0
    return s3, psycopg.conninfo.make_conninfo(database, user="eva")


def found(capsys, fleet, *words) -> list[tuple[str, int]]:
    code, out, err = run(capsys, "fleet", "find", "--catalogue", fleet[1], "--json", *words)
    assert (code, err) == (0, "")
    return [(frame["robot"], frame["id"]) for frame in json.loads(out)]


def test_frames_of_all_robots_are_found(fleet, capsys, tmp_path):
    assert found(capsys, fleet) == [(r, i) for r in ("r1", "r2") for i in (1, 2, 3, 4)]
    assert found(capsys, fleet, "--robot", "r2", "--label", "dock") == [("r2", 3)]
    assert found(capsys, fleet, "--near", 1, 0, 0, "--radius", 0.5) == [("r1", 2), ("r2", 2)]
    assert found(capsys, fleet, "--text", "tour r2", "--limit", 1) == [("r2", 1)]
    assert found(capsys, fleet, "--stamp", START, "--limit", 2) == [("r1", 1), ("r1", 2)]
    Image.fromarray(picture(3)).save(tmp_path / "seen.png")
    assert found(capsys, fleet, "--like", tmp_path / "seen.png")[:2] == [("r1", 4), ("r2", 4)]
    code, out, _ = run(capsys, "fleet", "find", "--catalogue", fleet[1], "--text", "dock")
    assert code == 0 and len(out.splitlines()) == 3 and out.startswith("robot")
    memory = out.splitlines()[1].split()[1]
    assert found(capsys, fleet, "--like", f"r1/{memory}/1")[:2] == [("r1", 1), ("r2", 1)]


def test_pictures_are_shown(fleet, capsys, tmp_path):
    names = "--catalogue", fleet[1], "--label", "dock", "--from", fleet[0], "--json"
    code, out, err = run(capsys, "fleet", "find", *names, "-o", tmp_path / "docks")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader((tmp_path / "docks" / "index.csv").open()))
    told = json.loads(out)
    assert [frame["out_id"] for frame in told] == [int(row["id"]) for row in rows] == [1, 2]
    for row in rows:
        shown = np.asarray(Image.open(tmp_path / "docks" / row["file"])).astype(int)
        assert np.abs(shown - picture(2)).mean() < 40 and shown.shape == (60, 80, 3)


def test_a_memory_is_made_again(fleet, banks, capsys, tmp_path):
    code, out, err = run(
        capsys, "fleet", "pull", fleet[0], "--robot", "r1", "-o", tmp_path / "r1.db", "--json"
    )
    assert (code, err) == (0, "") and json.loads(out)["frames"] == 4
    with MemoryBank(tmp_path / "r1.db") as again, MemoryBank(banks / "r1.db") as bank:
        assert list(again) == list(bank)
    words = "--catalogue", fleet[1], "--label", "dock", "--ids", tmp_path / "ids.csv"
    assert run(capsys, "fleet", "pull", fleet[0], "-o", tmp_path / "docks.db", *words)[0] == 0
    with MemoryBank(tmp_path / "docks.db") as docks:
        assert [frame.label for frame in docks] == ["dock", "dock"]
    rows = list(csv.DictReader((tmp_path / "ids.csv").open()))
    assert [(row["robot"], row["id"], row["new_id"]) for row in rows] == [
        ("r1", "3", "1"),
        ("r2", "3", "2"),
    ]


def test_a_later_push_sends_what_is_new(fleet, banks, capsys):
    again = "fleet", "push", banks / "r1.db", "--to", fleet[0], "--robot", "r1", "--json"
    code, out, _ = run(capsys, *again)
    [memory] = json.loads(out)["memories"]
    assert code == 0 and (memory["new"], memory["changed"]) == (0, 0) and memory["bytes"] < 2000


def test_a_catalogue_is_filled_from_the_archive(fleet, postgres, capsys):
    database = postgres("anew")
    code, out, _ = run(capsys, "fleet", "catalogue", database, "--from", fleet[0])
    assert code == 0 and "8 frames filled in" in out
    assert len(found(capsys, (None, database))) == 8


def test_a_server_that_goes_away_costs_a_line(s3, capsys, tmp_path, monkeypatch):
    path = drive(tmp_path / "tour.db")
    S3FileSystem.clear_instance_cache()  # which knows the other server
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    push = "fleet", "push", path, "--to", "s3://fleet/other", "--robot", "r3"
    code, out, err = run(capsys, *push)
    assert code == 2 and len(err.splitlines()) == 1 and "127.0.0.1:9" in err
    S3FileSystem.clear_instance_cache()


def test_a_server_that_goes_away_in_the_middle_loses_nothing(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    path, sent, cut = drive(tmp_path / "tour.db"), [], 4
    address = re.search(r":(\d+)$", os.environ["AWS_ENDPOINT_URL"])

    def pause(count: int) -> None:
        sent.append(count)
        if len(sent) == cut:
            s3server[0].stop()

    with MemoryBank(path, readonly=True) as bank:
        with pytest.raises(FleetError, match="frames/robot=r4"):
            push(bank, Archive("s3://fleet/cut", pause), "r4")
        server = moto.ThreadedMotoServer("127.0.0.1", int(address[1]), verbose=False)
        server.start()
        s3server[0] = server
        archive = Archive("s3://fleet/cut")
        assert push(bank, archive, "r4").new == 60
        [manifest] = archive.manifests()
        assert list(rows_of(archive, manifest)) == bank.whole(1, 60)
    assert archive.paths("partial") == []
    S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    "words, why",
    [
        (("find", "--catalogue", "host=/nowhere"), "/nowhere"),
        (("find", "--catalogue", "nonsense"), "nonsense"),
        (("find", "--out", "x"), "--from"),
        (("pull", "{tmp}", "-o", "{tmp}/new.db", "--label", "dock"), "--catalogue"),
        (("push", "{tmp}/none.db", "--to", "{tmp}/a"), "does not exist"),
        (("push", "{tmp}/none.db", "--to", "{tmp}/a", "--robot", "a/b"), "name"),
        (("push", "{tmp}/none.db", "--to", "{tmp}/a", "--robot", ""), "name"),
        (("push", "{tmp}/none.db", "--to", "{tmp}/a", "--limit-rate", "0k"), "bytes"),
        (("catalogue", "host=/nowhere"), "/nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(words, why, capsys, tmp_path):
    code, out, err = run(capsys, "fleet", *(word.format(tmp=tmp_path) for word in words))
    assert (code, out, len(err.splitlines())) == (2, "", 1) and why in err


def test_the_extra_that_is_missing_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = run(capsys, "fleet", "pull", tmp_path, "-o", tmp_path / "new.db")
    assert code == 2 and re.search(r"pyarrow.*-m pip install 'gaussvae_ros\[fleet\]'$", err.strip())
