"""`gaussvae fleet find`: frames of all robots, as `gaussvae bank list` finds them in one memory."""

import argparse
import tempfile
from pathlib import Path

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import fleet_options, options
from gaussvae_ros.cli.bank_copies import REMEMBER
from gaussvae_ros.cli.bank_list import FEW
from gaussvae_ros.cli.show import show, table, warn
from gaussvae_ros.errors import FleetError
from gaussvae_ros.exports import FORMATS, PICTURES, format_of

LISTED = 1000  # frames, unless one asks for more


def add_verb(verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "frames of all robots, by stamp, nearest to one, or by likeness"
    made = options.verb(verbs, "find", find, about)
    fleet_options.catalogue(made, "the catalogue; default: what PGHOST, PGSERVICE and the like say")
    fleet_options.conditions(made)
    order = made.add_mutually_exclusive_group()
    order.add_argument("--stamp", type=int, metavar="NS", help="nearest to this stamp first")
    order.add_argument(
        "--like",
        metavar="FRAME|IMAGE",
        help="most like this frame, named ROBOT/MEMORY/ID, or an image file, first",
    )
    made.add_argument(
        "-o", "--out", metavar="DIR", help="a folder to write with their pictures; needs --from"
    )
    fleet_options.url(made, "--from", "with --out: the archive that has their records")
    made.add_argument(
        "--format", choices=FORMATS, default="folder", help="of --out, as for gaussvae bank export"
    )
    made.add_argument("--pictures", choices=PICTURES, help="of --out, as for gaussvae bank export")
    options.file_mode(made)
    options.as_json(made)


@fleet_options.extra
def find(args: argparse.Namespace) -> None:
    """List the frames, and write their pictures where that is asked for."""
    from gaussvae_ros.fleet import finding
    from gaussvae_ros.fleet.catalogue import Catalogue

    if (args.out is None) != (args.url is None):
        raise FleetError("--out and --from go together: a folder, and the archive with the records")
    where = finding.conditions(**fleet_options.given(args))
    with Catalogue(args.catalogue or "") as catalogue:
        if args.like is not None:
            descriptor = _descriptor(catalogue, args.like)
            frames = finding.find_like(catalogue, where, descriptor, args.limit or FEW)
        elif args.stamp is not None:
            frames = finding.nearest(catalogue, where, args.stamp, args.limit or FEW)
        else:
            frames = finding.find(catalogue, where, args.limit or LISTED)
            if args.limit is None and len(frames) == LISTED:
                warn([f"the first {LISTED:,} frames are listed: --limit asks for more"])
    if args.out is not None:
        _export(args, frames)
    if args.json:
        return show(args, frames, "")
    _print(frames, args.text is not None)


def _descriptor(catalogue: object, like: str) -> bytes:
    from gaussvae_ros.fleet import finding

    if like.count("/") == 2 and like.rpartition("/")[2].isdecimal():
        return finding.descriptor_of(catalogue, like)
    from gaussvae_ros.evaluation.images import read_image
    from gaussvae_ros.recognition.kinds import PLACES, kind_of

    length = finding.descriptor_length(catalogue)
    kind = PLACES if length is None else kind_of(length)
    return kind.describe(read_image(like)).tobytes()


def _export(args: argparse.Namespace, frames: list[dict]) -> None:
    """Write the pictures of frames, and tell each its id there."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.exports.writing import export
    from gaussvae_ros.fleet.archive import Archive
    from gaussvae_ros.fleet.pull import Wanted, pull

    archive = Archive(args.url)
    wanted = Wanted(frames={(f["robot"], f["bank"], f["id"]) for f in frames})
    with tempfile.TemporaryDirectory(prefix="gaussvae_") as folder:
        with MemoryBank(Path(folder) / "found.db") as bank:
            copied = pull(archive, bank, wanted)
            bar = tqdm(total=len(copied), unit="frame", desc="export", delay=1, disable=None)
            codec, form = FrameCodec(models=[bank], remember=REMEMBER), format_of(args.format)
            how = {"pictures": args.pictures, "file_mode": args.file_mode}
            with bar:
                done = export(bank, args.out, form, codec, progress=bar.update, **how)
    lost = len(frames) - len(copied)
    warn([*done.problems, *([f"the archive has {lost} of them no more"] if lost else [])])
    for frame in frames:
        frame["out_id"] = copied.get((frame["robot"], frame["bank"], frame["id"]))


def _print(frames: list[dict], read: bool) -> None:
    columns = ["robot", "memory", "id", "stamp (ns)", "camera", "session", "size", "bytes"]
    columns += ["label", "x (m)", "y (m)", "z (m)"]
    extra = [name for name in ("likeness", "out_id") if frames and name in frames[0]]
    rows = []
    for f in frames:
        row = [f["robot"], f["bank"], str(f["id"]), str(f["stamp_ns"]), f["camera"], f["session"]]
        row += ["x".join(map(str, f["size"])), f["bytes"], f["label"]]
        row += [*(f["pose"] or [None] * 3)[:3], *(f[name] for name in extra)]
        rows.append(row + [", ".join(f["texts"])] * read)
    names = {"out_id": "id in --out"}
    heads = [*columns, *(names.get(name, name) for name in extra), *["read there"] * read]
    table(heads, rows)
