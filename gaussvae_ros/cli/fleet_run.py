"""`gaussvae fleet run`: descriptors, coarser records, figures and training samples of an archive,
made by many processes or machines.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from gaussvae_ros.cli import options
from gaussvae_ros.cli.fleet_options import extra
from gaussvae_ros.cli.show import show, table, warn
from gaussvae_ros.cli.train import crops, show_samples
from gaussvae_ros.errors import GaussVaeError

if TYPE_CHECKING:
    from tqdm import tqdm

    from gaussvae_ros.fleet.archive import Archive, Manifest
    from gaussvae_ros.fleet.units import Job, Unit

QUALITIES = (0.0, 25.0, 50.0)


def add_verb(fleet_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs of `gaussvae fleet run`, with their options."""
    about = "work on all records of an archive, on this machine or a cluster of Ray"
    run_verbs = fleet_verbs.add_parser("run", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    about = "descriptors for frames that have none or an earlier kind, of their records"
    _results(_verb(run_verbs, "describe", describe, about))

    about = "coarser records, as an archive of their own"
    made = _verb(run_verbs, "reencode", reencode, about)
    options.encoding(made)
    _results(made, "its folder reencoded/quality=Q")

    about = "bytes and picture quality, measured on some frames"
    made = _verb(run_verbs, "evaluate", evaluate, about)
    made.add_argument(
        "--qualities",
        metavar="Q",
        type=float,
        nargs="+",
        help="what frames would be worth at these; default: 0 25 50, none with --against",
    )
    made.add_argument(
        "--against",
        metavar="URL",
        help="an archive of the same frames with finer records, to compare with",
    )
    _every(made, "frame", 100)
    _results(made)

    about = "samples for gaussvae train run, of pictures that records show"
    made = _verb(run_verbs, "prepare", prepare, about)
    made.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder for the samples, the same for all machines; a stopped run goes on there",
    )
    crops(made, "one frame of each camera in N")


@extra
def describe(args: argparse.Namespace) -> int:
    from gaussvae_ros.fleet.describing import Describe

    source, target = _archives(args)
    found = _run(args, Describe(), source, target)
    done, frames = _sum(found, "described"), _sum(found, "rows")
    said = f"{target.url}: {done} of {frames} frames described anew"
    return _show(args, found, {"frames": frames, "described": done}, said)


@extra
def reencode(args: argparse.Namespace) -> int:
    from gaussvae_ros.fleet.pull import memories
    from gaussvae_ros.fleet.recoding import Reencode, check, publish

    if not 0 <= args.quality <= 100:
        raise GaussVaeError(f"--quality is 0 to 100, not {args.quality:g}")
    source, target = _archives(args, f"/reencoded/quality={args.quality:g}")
    memory = memories(source, args.robot)
    check(target)
    found = _run(args, Reencode(args.quality, args.effort), source, target)
    publish(source, target, memory, found)
    frames, done = _sum(found, "rows"), _sum(found, "reencoded")
    before, after = _sum(found, "bytes_before"), _sum(found, "bytes")
    figures = {"frames": frames, "reencoded": done, "bytes_before": before, "bytes": after}
    said = f"{done} of {frames} frames encoded again, {before:,} bytes of records are {after:,}"
    return _show(args, found, figures, f"{target.url}: {said}")


@extra
def evaluate(args: argparse.Namespace) -> int:
    from gaussvae_ros.fleet.archive import Archive
    from gaussvae_ros.fleet.evaluating import Evaluate, summary
    from gaussvae_ros.fleet.pull import memories

    qualities = args.qualities or (() if args.against else QUALITIES)
    for quality in qualities:
        if not 0 <= quality <= 100:
            raise GaussVaeError(f"--qualities are 0 to 100, not {quality:g}")
    if against := args.against and _url(args.against):
        memories(Archive(against))
    source, target = _archives(args)
    found = _run(args, Evaluate(tuple(qualities), args.every, against), source, target)
    rows = summary(made for _, made in found)
    if not args.json:
        columns = ("quality", "frames", "bytes", "psnr", "ssim")
        names = [{None: "as stored"}.get(row["quality"], f"{row['quality']}") for row in rows]
        table(columns, [[n, *(row[c] for c in columns[1:])] for n, row in zip(names, rows)])
    figures = {"frames": _sum(found, "rows"), "measured": rows}
    return _show(args, found, figures, f"{target.url}: one frame in {args.every} measured")


@extra
def prepare(args: argparse.Namespace) -> None:
    from pathlib import Path

    from gaussvae_ros.fleet.archive import Archive
    from gaussvae_ros.fleet.pictures import draw
    from gaussvae_ros.fleet.pull import memories
    from gaussvae_ros.fleet.running import Workers, connected
    from gaussvae_ros.training.prepare import prepare as run
    from gaussvae_ros.training.sources import INTERVAL, NOT_STATED, Source

    source = Archive(_url(args.archive))
    memory = memories(source, args.robot)

    def unpack(folder: Path, every: int | None) -> list[tuple[str, str]]:
        with _bar(memory, "draw") as bar:
            return draw(source, memory, folder, every, INTERVAL, args.jobs, bar.update)

    given = " ".join([source.url, *(args.robot or ())])
    how = args.crops, args.every, args.size, args.seed
    with connected(args.ray, args.jobs):
        pictures = [Source(given, "archive", NOT_STATED, unpack)]
        show_samples(args, run(pictures, args.out, *how, workers=Workers(args.jobs)))


def _verb(verbs: argparse._SubParsersAction, name: str, run, about: str):
    made = options.verb(verbs, name, run, about)
    made.add_argument("archive", metavar="ARCHIVE", help="its URL: a folder, s3://, gs://, ...")
    made.add_argument("--robot", metavar="NAME", nargs="+", help="only these robots")
    made.add_argument(
        "--ray",
        metavar="ADDRESS",
        default="local",
        help="of a cluster: auto, HOST:PORT, ray://HOST:PORT; default local: this machine's cores",
    )
    made.add_argument(
        "--jobs", metavar="N", type=options.count, help="workers; default: one for each core"
    )
    options.as_json(made)
    return made


def _results(made: argparse.ArgumentParser, beside: str = "a folder beside its frames") -> None:
    made.add_argument(
        "--out", metavar="URL", help=f"where results go; default: into ARCHIVE, {beside}"
    )


def _every(made: argparse.ArgumentParser, what: str, default: int) -> None:
    made.add_argument(
        "--every",
        metavar="N",
        type=options.count,
        default=default,
        help=f"one {what} in N (default {default})",
    )


def _archives(args: argparse.Namespace, beside: str = "") -> tuple[Archive, Archive]:
    from gaussvae_ros.fleet.archive import Archive

    source = Archive(_url(args.archive))
    return source, Archive(_url(args.out) if args.out else f"{source.url.rstrip('/')}{beside}")


def _url(text: str) -> str:
    """A URL that means the same wherever a worker is started."""
    return text if "://" in text or "::" in text else os.path.abspath(text)


def _run(
    args: argparse.Namespace, job: Job, source: Archive, target: Archive
) -> list[tuple[Unit, dict]]:
    from gaussvae_ros.fleet.batch import Cluster, run
    from gaussvae_ros.fleet.pull import memories

    with _bar(memories(source, args.robot), job.table) as bar:
        cluster = Cluster(args.ray, args.jobs)
        return run(job, source, target, args.robot, cluster, bar.update)


def _bar(memory: list[Manifest], what: str) -> tqdm:
    from tqdm import tqdm

    total = sum(manifest.rows for manifest in memory)
    return tqdm(total=total, unit="frame", desc=what, delay=1, disable=None)


def _sum(found: list[tuple[Unit, dict]], key: str) -> int:
    return sum(made.get(key, 0) for _, made in found)


def _show(
    args: argparse.Namespace, found: list[tuple[Unit, dict]], figures: dict, said: str
) -> int:
    """Print figures, and what failed. Returns 1 if files could not be read or written."""
    undone = [(unit, made["error"]) for unit, made in found if "error" in made]
    failed = [(unit, *one) for unit, made in found for one in made.get("why", ())]
    warn([f"{unit.robot}: {unit.rows} frames are left out: {error}" for unit, error in undone])
    warn([f"{unit.robot}: frame {number} of {unit.bank}: {why}" for unit, number, why in failed])
    figures |= {"failed": _sum(found, "failed"), "undone": sum(u.rows for u, _ in undone)}
    show(args, figures, said)
    return 1 if undone else 0
