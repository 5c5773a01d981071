"""`gaussvae fleet run`: Ray on two workers gives what one gives, to the byte, and loses nothing."""

import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fleets import drive

ray = pytest.importorskip("ray", reason="needs ray[data]")
pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from fleetruns import files, gaussvae, make_robots, rows  # noqa: E402

from gaussvae_ros.bank import MemoryBank  # noqa: E402
from gaussvae_ros.bench import fleet_batch  # noqa: E402
from gaussvae_ros.cli import main  # noqa: E402
from gaussvae_ros.codec import FrameCodec  # noqa: E402
from gaussvae_ros.errors import FleetError  # noqa: E402
from gaussvae_ros.files import PRIVATE, make_folder  # noqa: E402
from gaussvae_ros.fleet import archive as archives  # noqa: E402
from gaussvae_ros.fleet.archive import Archive  # noqa: E402
from gaussvae_ros.fleet.batch import Cluster, run  # noqa: E402
from gaussvae_ros.fleet.describing import Describe  # noqa: E402
from gaussvae_ros.fleet.pull import pull  # noqa: E402
from gaussvae_ros.fleet.push import push  # noqa: E402
from gaussvae_ros.fleet.running import connected  # noqa: E402
from gaussvae_ros.recognition.places import describe_record  # noqa: E402

TABLES = ("described", "frames", "records")
GROUP = 7  # rows of a row group, so that few frames are many units


@pytest.fixture(scope="module", autouse=True)
def cluster(compiled):
    """A local one for all tests, with two cores."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find it
    with connected(jobs=2):
        yield


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(archives, "GROUP", GROUP)


@pytest.fixture(scope="module")
def robots(tmp_path_factory) -> Path:
    folder, patch = tmp_path_factory.mktemp("robots"), pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(archives, "GROUP", GROUP)
        make_robots(folder)
    return folder


def test_describe_gives_what_bank_describe_stores(robots, tmp_path, capsys):
    code, figures, err = gaussvae(capsys, "describe", robots / "fleet", "--out", tmp_path)
    assert (code, err) == (0, "")
    assert figures == {"frames": 33, "described": 29, "failed": 0, "undone": 0}
    assert len(list((tmp_path / "described").rglob("*.parquet"))) == 6
    codec, found = FrameCodec(device="cpu"), rows(tmp_path / "described")
    for seed in range(2):
        with MemoryBank(robots / f"robot{seed}.db", readonly=True) as bank:
            wanted = [f for f in bank.frames(bank.ids()) if bank.descriptor(f.id) is None]
            for frame in wanted:
                row = found.pop(0)
                assert row["id"] == frame.id and row["error"] is None
                assert row["descriptor"] == describe_record(codec, frame.records).tobytes()
    assert not found


def test_any_number_of_workers_gives_the_same_bytes_and_what_is_done_stays(robots, tmp_path):
    source = Archive(robots / "fleet")
    for jobs in (1, 2):
        found = run(Describe(), source, Archive(tmp_path / str(jobs)), None, Cluster(jobs=jobs))
        assert [made.get("error") for _, made in found] == [None] * 6
    one, two = files(tmp_path / "1"), files(tmp_path / "2")
    assert one == two and len(one) == 6
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "1").rglob("*.parquet")}
    first = next(iter(written))
    first.unlink()
    run(Describe(), source, Archive(tmp_path / "1"))
    assert files(tmp_path / "1") == one
    assert {p for p, at in written.items() if p.stat().st_mtime_ns != at} == {first}


def test_workers_may_make_the_same_folder_at_once(tmp_path, monkeypatch):
    """Each saw that it was not there, and another one was first."""
    monkeypatch.setattr(Path, "exists", lambda path: False)
    make_folder(tmp_path, PRIVATE)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file", PRIVATE)


@dataclass(frozen=True)
class KilledOnce(Describe):
    """Ends its process in the middle of the first unit, as the kernel does when memory is short."""

    marker: str = ""

    def __call__(self, *about):
        made = super().__call__(*about)
        if not os.path.exists(self.marker):
            Path(self.marker).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return made


def test_what_a_killed_worker_had_under_way_is_done_again(robots, tmp_path):
    source = Archive(robots / "fleet")
    run(Describe(), source, Archive(tmp_path / "whole"))
    job = KilledOnce(str(tmp_path / "killed"))
    found = run(job, source, Archive(tmp_path / "again"))
    killed = int((tmp_path / "killed").read_text())
    assert killed != os.getpid() and not os.path.exists(f"/proc/{killed}")
    assert [made["rows"] for _, made in found] == [7, 7, 7, 3, 7, 2]
    assert files(tmp_path / "again") == files(tmp_path / "whole")


def test_frames_that_do_not_decode_are_named_and_files_that_are_damaged_are_left_out(
    tmp_path, capsys
):
    """Records of random bytes, and one byte that is another one on the disk."""
    with MemoryBank(drive(tmp_path / "tour.db", frames=20)) as bank:
        push(bank, Archive(tmp_path / "fleet"), "r1")
        data = bank.get(9).data
    code, figures, err = gaussvae(capsys, "describe", tmp_path / "fleet", "--out", tmp_path / "a")
    assert code == 0 and figures["failed"] == 1  # the others have a descriptor
    assert figures["described"] == 0 and figures["undone"] == 0
    assert err.count("\n") == 1 and "r1: frame 11 of " in err
    [row] = rows(tmp_path / "a")
    assert row["id"] == 11 and row["descriptor"] is None and row["error"] in err
    again = gaussvae(capsys, "describe", tmp_path / "fleet", "--out", tmp_path / "a")
    assert again == (code, figures, err)  # said again, not done again

    [path] = (tmp_path / "fleet" / "records").rglob("*.parquet")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[whole.index(data) + 9] ^= 1
    path.write_bytes(damaged)
    code, figures, err = gaussvae(capsys, "describe", tmp_path / "fleet", "--out", tmp_path / "b")
    assert code == 1 and figures["undone"] == GROUP and figures["frames"] == 20
    assert f"r1: {GROUP} frames are left out: " in err and path.name in err
    path.write_bytes(whole)
    gaussvae(capsys, "describe", tmp_path / "fleet", "--out", tmp_path / "b")
    assert files(tmp_path / "b") == files(tmp_path / "a")


def test_reencode_makes_a_coarser_archive_of_the_same_frames(robots, tmp_path, capsys):
    source = tmp_path / "fleet"
    shutil.copytree(robots / "fleet", source)
    made = [
        gaussvae(capsys, "reencode", source, "--quality", "10", "--jobs", jobs, *out)
        for jobs, out in ((1, ()), (2, ("--out", tmp_path / "out")))
    ]
    coarser = source / "reencoded" / "quality=10"
    assert made[0] == made[1] and files(coarser) == files(tmp_path / "out")
    code, figures, err = made[0]
    assert (code, err, figures["frames"], figures["failed"]) == (0, "", 33, 0)
    assert figures["bytes"] < 0.8 * figures["bytes_before"] and figures["reencoded"] > 20
    codec, archive = FrameCodec(device="cpu"), Archive(coarser)
    with MemoryBank(tmp_path / "all.db") as bank:
        ids = pull(archive, bank)
        assert len(ids) == 33 and sum(len(bank.get(i).data) for i in bank.ids()) == figures["bytes"]
        assert bank.find(near=(23, 0, 0), radius=0.1)[0].map_id == "hall"
        for frame in bank.frames(bank.ids()):
            assert codec.decode(frame.records).shape == (72, 96, 3)
        assert bank.verify() == []


def test_what_the_archive_has_no_more_goes_from_results_too(tmp_path, capsys):
    """A push with --redact removed the frames that began a row group, and the last part."""
    fleet, out = tmp_path / "fleet", tmp_path / "out"
    with MemoryBank(drive(tmp_path / "tour.db", frames=25)) as bank:
        push(bank, Archive(fleet), "r1")
        for verb in ("describe", "reencode"):
            assert gaussvae(capsys, verb, fleet, "--out", out)[0] == 0
        before = {table: len(list((out / table).rglob("*.parquet"))) for table in TABLES}
        bank.remove([8, *range(20, 26)])
        push(bank, Archive(fleet), "r1", redact=True)
    for verb in ("describe", "reencode"):
        assert gaussvae(capsys, verb, fleet, "--out", out)[0] == 0
    after = {table: len(list((out / table).rglob("*.parquet"))) for table in TABLES}
    assert all(after[table] < before[table] for table in TABLES)
    kept = {row["id"] for table in ("frames", "records") for row in rows(out / table)}
    assert kept == set(range(1, 20)) - {8}


def test_reencode_never_writes_into_an_archive_that_robots_push_to(robots, capsys):
    before = files(robots)
    code, _, err = gaussvae(capsys, "reencode", robots / "fleet", "--out", robots / "fleet")
    assert code == 2 and "robots push to this archive" in err and files(robots) == before


def test_evaluate_says_what_records_are_worth(robots, tmp_path, capsys):
    asked = ("evaluate", robots / "fleet", "--every", 4, "--out", tmp_path / "a")
    code, figures, err = gaussvae(capsys, *asked, "--qualities", 0, 50)
    assert (code, err, figures["frames"]) == (0, "", 33)
    stored, coarse, fine = figures["measured"]
    assert [row["quality"] for row in figures["measured"]] == [None, 0, 50]
    assert {row["frames"] for row in figures["measured"]} == {8} and stored["psnr"] is None
    assert coarse["bytes"] < fine["bytes"] and 20 < coarse["psnr"] < fine["psnr"] < 60
    assert len(rows(tmp_path / "a")) == 24 and {r["id"] % 4 for r in rows(tmp_path / "a")} == {0}

    gaussvae(capsys, "reencode", robots / "fleet", "--quality", 0, "--out", tmp_path / "coarse")
    against = ("--against", robots / "fleet", "--every", 4, "--out", tmp_path / "b")
    code, figures, err = gaussvae(capsys, "evaluate", tmp_path / "coarse", *against)
    [row] = figures["measured"]
    assert code == 0 and row["quality"] is None and row["frames"] == 8
    assert row["bytes"] < stored["bytes"] and 20 < row["psnr"] < 60 and 0.5 < row["ssim"] < 1
    main(["fleet", "run", "evaluate", str(tmp_path / "coarse"), *map(str, against)])
    assert "as stored" in capsys.readouterr().out


def test_prepare_makes_samples_of_pictures(robots, tmp_path, capsys):
    from gaussvae_ros.training.shards import Shards

    for jobs in (1, 2):
        how = ("--crops", 1, "--every", 3, "--size", "48x36", "--jobs", jobs)
        out = tmp_path / str(jobs)
        code, manifest, err = gaussvae(capsys, "prepare", robots / "fleet", "--out", out, *how)
        assert (code, err) == (0, "")
    one, two = files(tmp_path / "1"), files(tmp_path / "2")
    assert one == two and set(one) == {"manifest.json", "train-00000.npy", "valid-00000.npy"}
    [source] = manifest["sources"]
    assert source["given"] == str(robots / "fleet") and source["pictures"] == 14
    counts = [len(Shards(tmp_path / "1", part)) for part in ("train", "valid")]
    assert counts == [manifest["parts"][part]["samples"] for part in ("train", "valid")]


def test_bench_describes_an_archive_in_both_ways(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    [row] = fleet_batch.run(tmp_path, [picture], 20)
    assert row["value"] > 0 and row["reference"] > 0 and "of 20 described" in row["name"]


@pytest.mark.parametrize(
    "asked, says",
    [
        (("describe", "nowhere"), "no memory is there"),
        (("describe", "fleet", "--robot", "robot0", "who"), "no memory of robot who is there"),
        (("reencode", "fleet", "--quality", 101), "0 to 100, not 101"),
        (("evaluate", "fleet", "--qualities", -1), "0 to 100, not -1"),
        (("evaluate", "fleet", "--against", "nowhere"), "no memory"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(asked, says, robots, monkeypatch, capsys):
    monkeypatch.chdir(robots)
    before = files(robots)
    code, _, err = gaussvae(capsys, *asked)
    assert code == 2 and says in err and err.count("\n") == 1
    assert files(robots) == before


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "127.0.0.1:9", "nowhere"])
def test_a_cluster_that_is_not_there_is_named_at_once(address, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(FleetError, match=f"^Ray at {address}: ") as told, connected(address):
        pass
    assert "\n" not in str(told.value)


def test_without_ray_it_says_what_to_install(robots, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    for module in ("running", "batch"):
        monkeypatch.delitem(sys.modules, f"gaussvae_ros.fleet.{module}")
    code, _, err = gaussvae(capsys, "describe", robots / "fleet")
    assert code == 2 and "-m pip install 'gaussvae_ros[fleet]'" in err and err.count("\n") == 1
