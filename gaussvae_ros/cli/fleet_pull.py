"""`gaussvae fleet pull`: a memory file made again from an archive."""

import argparse
import csv
import io
from contextlib import ExitStack, closing

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.journal import delete
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.cli import fleet_options, options
from gaussvae_ros.cli.show import show
from gaussvae_ros.errors import FleetError
from gaussvae_ros.files import naming, write_file

ALONE = {"robots", "after", "before"}  # what an archive answers without its catalogue


def add_verb(verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    made = options.verb(verbs, "pull", pull, "a memory file made again from an archive")
    made.add_argument("url", metavar="URL", help="the archive")
    made.add_argument(
        "-o", "--out", metavar="NEW", required=True, help="the file to write, which must not exist"
    )
    fleet_options.catalogue(made, "asked for conditions other than --robot, --after and --before")
    fleet_options.conditions(made)
    made.add_argument(
        "--ids", metavar="CSV", help="a file to write, with the new id of every frame"
    )
    options.files(made, writes=("out", "ids"))
    options.file_mode(made)
    options.as_json(made)


@fleet_options.extra
def pull(args: argparse.Namespace) -> None:
    """Write the file, which is there once it is whole."""
    from tqdm import tqdm

    from gaussvae_ros.fleet.archive import Archive
    from gaussvae_ros.fleet.pull import Wanted
    from gaussvae_ros.fleet.pull import pull as run

    out = checked_path(args.out, readonly=False)
    if out.exists():
        raise FleetError(f"{out} exists already: a pull overwrites nothing")
    conditions, archive = fleet_options.given(args), Archive(args.url)
    if set(conditions) <= ALONE and args.limit is None:
        wanted = Wanted(**conditions)
    elif args.catalogue is not None:
        wanted = Wanted(frames=_named(args, conditions))
    else:
        raise FleetError("the archive alone knows robots and times: give --catalogue, too")
    partial = out.with_name(f".pulling-{out.name}")
    total = sum(part.rows for _, parts, _ in wanted.of(archive) for part in parts)
    bar = tqdm(total=total, unit="frame", desc="pull", delay=1, disable=None)
    with naming(out, partial), ExitStack() as stack:
        stack.callback(delete, partial)
        delete(partial)
        with bar, closing(MemoryBank(partial, file_mode=args.file_mode)) as target:
            copied = run(archive, target, wanted, bar.update)
            sessions = len(target.whole_sessions())
        if args.ids:
            text = io.StringIO()
            rows = csv.writer(text)
            rows.writerow(("robot", "memory", "id", "new_id"))
            rows.writerows((*frame, new) for frame, new in copied.items())
            write_file(args.ids, text.getvalue().encode(), args.file_mode)
        partial.rename(out)
    figures = {"bank": args.out, "frames": len(copied), "sessions": sessions}
    figures["bytes"] = out.stat().st_size
    size = f"{figures['bytes'] / 1e6:.1f} MB"
    show(args, figures, f"{args.out}: {len(copied)} frames, {sessions} sessions, {size}")


def _named(args: argparse.Namespace, conditions: dict) -> list[tuple[str, str, int]]:
    from gaussvae_ros.fleet import finding
    from gaussvae_ros.fleet.catalogue import Catalogue

    with Catalogue(args.catalogue) as catalogue:
        return finding.keys(catalogue, finding.conditions(**conditions), args.limit)
