"""The verbs of `gaussvae fleet`: many robots' memories in one archive, and found in its
catalogue.
"""

import argparse
import socket

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import fleet_find, fleet_pull, fleet_run, options
from gaussvae_ros.cli.fleet_options import catalogue, extra, rate, url
from gaussvae_ros.cli.show import show


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs of `gaussvae fleet`, with their options."""
    about = "many robots' memories in one archive"
    verbs = all_verbs.add_parser("fleet", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    made = options.verb(verbs, "push", push, "what is new in memory files, sent to an archive")
    made.add_argument("bank", metavar="BANK", nargs="+", help="a memory file")
    made.add_argument(
        "--to", metavar="URL", required=True, help="the archive: a folder, s3://..., gs://..."
    )
    made.add_argument(
        "--robot", metavar="NAME", help="whose memories they are; default: this machine's name"
    )
    catalogue(made, "tell this catalogue, too")
    made.add_argument(
        "--limit-rate", type=rate, metavar="N", help="bytes a second, at most, as 500k or 2M"
    )
    made.add_argument(
        "--redact",
        action="store_true",
        help="remove from the archive what the memories have no more, and replace what they have"
        " otherwise, as after gaussvae bank redact",
    )
    options.file_mode(made)
    options.as_json(made)
    fleet_pull.add_verb(verbs)
    fleet_find.add_verb(verbs)
    fleet_run.add_verb(verbs)
    made = options.verb(
        verbs, "catalogue", make_catalogue, "make a catalogue, let roles in, fill it"
    )
    made.add_argument("catalogue", metavar="DB", help="a database, as postgresql://host/name")
    made.add_argument(
        "--robot", metavar="NAME", action="append", default=[], help="a role for this robot"
    )
    made.add_argument(
        "--reader", metavar="NAME", action="append", default=[], help="a role that reads"
    )
    url(made, "--from", "fill in what this archive has and the catalogue has not")
    options.as_json(made)


@extra
def push(args: argparse.Namespace) -> int:
    """Send what is new, and say what went; 1 if frames were left out that are damaged."""
    from contextlib import ExitStack, nullcontext

    from tqdm import tqdm

    from gaussvae_ros.fleet import push as pushing
    from gaussvae_ros.fleet.archive import Archive, Rate
    from gaussvae_ros.fleet.catalogue import Catalogue

    robot = pushing.checked_robot(socket.gethostname() if args.robot is None else args.robot)
    limit, sent = Rate(args.limit_rate) if args.limit_rate else None, [0]

    def pause(count: int) -> None:
        sent[0] += count
        if limit is not None:
            limit(count)

    archive = Archive(args.to, pause, args.file_mode)
    figures, lines = [], []
    with ExitStack() as stack:
        of = Catalogue(args.catalogue) if args.catalogue is not None else nullcontext()
        told = stack.enter_context(of)
        for path in args.bank:
            before = sent[0]
            with MemoryBank(path, readonly=True) as bank:
                name = pushing.bank_name(sessions := bank.whole_sessions())
                known = archive.manifest(robot, name)
                new = bank.count(known.last + 1, bank.last_id())
                names = {session["session"]: session["name"] for session in sessions}
                how = {"redact": args.redact}
                if told is not None:
                    how["stored"] = lambda *part: told.store(*part, names)
                with tqdm(total=new, unit="frame", desc="push", delay=1, disable=None) as bar:
                    done = pushing.push(bank, archive, robot, progress=bar.update, **how)
            if told is not None and sessions:
                told.follow(archive, archive.manifest(robot, name))
            row = {"bank": path, "memory": done.bank, "new": done.new, "changed": done.changed}
            row |= {"removed": done.removed, "kept": done.kept}
            row |= {"damaged": done.damaged, "bytes": sent[0] - before}
            figures.append(row)
            lines.append(_line(row))
    show(args, {"archive": args.to, "robot": robot, "memories": figures}, "\n".join(lines))
    return 1 if any(row["damaged"] for row in figures) else 0


@extra
def make_catalogue(args: argparse.Namespace) -> None:
    """Make it or bring it up to date, let roles in, and fill it."""
    from tqdm import tqdm

    from gaussvae_ros.fleet.archive import Archive
    from gaussvae_ros.fleet.catalogue import Catalogue, make
    from gaussvae_ros.fleet.push import checked_robot

    applied = make(args.catalogue, [checked_robot(name) for name in args.robot], args.reader)
    filled = 0
    if args.url is not None:
        archive = Archive(args.url)
        manifests = archive.manifests()
        total = sum(manifest.rows for manifest in manifests)
        bar = tqdm(total=total, unit="frame", desc="catalogue", delay=1, disable=None)
        with bar, Catalogue(args.catalogue) as made:
            filled = sum(made.follow(archive, manifest, bar.update) for manifest in manifests)
    figures = {"applied": applied, "robots": args.robot, "readers": args.reader, "frames": filled}
    lines = [f"migrations applied: {', '.join(applied) or 'none, it is up to date'}"]
    lines += [f"{len(args.robot)} robots and {len(args.reader)} readers let in"]
    lines += [f"{filled} frames filled in"] * (args.url is not None)
    show(args, figures, "\n".join(lines))


def _line(row: dict) -> str:
    what = f"{row['new']} frames new, {row['changed']} changed"
    if row["removed"]:
        what += f", {row['removed']} removed"
    if row["damaged"]:
        what += f", {row['damaged']} damaged ones left out"
    kept = ""
    if row["kept"]:
        kept = f"; of {row['kept']} that it has no more the archive keeps what it has (--redact)"
    return f"{row['bank']}: {what}, {row['bytes'] / 1e6:.1f} MB sent{kept}"
