"""The verbs of `gaussvae bank`: look into a memory file, take frames out of it."""

import argparse
import csv
import io
from collections.abc import Iterable
from pathlib import Path

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.bank.schema import TALLY
from gaussvae_ros.cli import (
    bank_copies,
    bank_loops,
    bank_models,
    bank_repair,
    bank_timeline,
    budgets,
    options,
)
from gaussvae_ros.cli.show import show, table, write_picture
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.needed_models import needs

ENDS = ("first_ns", "last_ns")


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs of `gaussvae bank`, with their options."""
    about = "look into a memory file"
    bank_verbs = all_verbs.add_parser("bank", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    made = options.bank_verb(bank_verbs, "info", info, "what the file holds")
    options.as_json(made)
    made = options.bank_verb(bank_verbs, "list", list_, "frames, by stamp or by likeness")
    options.conditions(made)
    made.add_argument(
        "--like", type=int, metavar="N", help="most like the frame with this id first"
    )
    options.as_json(made)
    made = options.bank_verb(bank_verbs, "recall", recall, "one frame as an image file")
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=int, metavar="N", help="the frame with this id")
    which.add_argument(
        "--stamp", type=int, metavar="NS", help="the frame nearest to this stamp, ns"
    )
    made.add_argument("--camera", metavar="C", help="with --stamp: only frames of this camera")
    options.picture(made)
    options.as_json(made)
    made = options.bank_verb(
        bank_verbs, "export", export, "frames as image files with an index.csv"
    )
    made.add_argument("-o", "--out", metavar="DIR", required=True)
    options.conditions(made)
    options.as_json(made)
    made = options.bank_verb(bank_verbs, "backup", backup, "a copy, also while the file is written")
    made.add_argument(
        "-o", "--out", metavar="COPY", required=True, help="the file to write, which must not exist"
    )
    options.as_json(made)
    bank_copies.add_verbs(bank_verbs)
    budgets.add_verbs(bank_verbs)
    bank_timeline.add_verb(bank_verbs)
    bank_loops.add_verbs(bank_verbs)
    made = options.bank_verb(
        bank_verbs,
        "add-model",
        bank_models.add_model,
        "let the file carry the models that its records need",
    )
    made.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="name or file of one model; default: all that are needed and can be found",
    )
    options.as_json(made)
    made = options.bank_verb(
        bank_verbs, "verify", verify, "read every frame; exit code 1 if there is damage"
    )
    options.as_json(made)
    bank_repair.add_verb(bank_verbs)


def info(args: argparse.Namespace) -> None:
    with _bank(args) as bank:
        info, needed = bank.info(), needs(bank)
    if args.json:
        return show(args, {**info, "models": bank_models.as_figures(needed)}, "")
    print("\n".join(f"{key}: {value}" for key, value in info.items() if key != "sessions"))
    rows = [
        [
            str(s["id"]),
            s["name"],
            s["frames"],
            *(s[count] for count in TALLY),
            *(s[end] and str(s[end]) for end in ENDS),
            s["map_id"] or None,
        ]
        for s in info["sessions"]
    ]
    table(
        (
            "session",
            "name",
            "frames",
            *(count.replace("_", " ") for count in TALLY),
            "first (ns)",
            "last (ns)",
            "map",
        ),
        rows,
    )
    bank_models.print_needed(needed)


def list_(args: argparse.Namespace) -> None:
    with _bank(args) as bank:
        if args.like is None:
            frames = [_facts(f) for f in _found(bank, args)]
        else:
            frames = [{**_facts(f), "likeness": score} for f, score in _like(bank, args)]
    if args.json:
        return show(args, frames, "")
    columns, rows = (
        [
            "id",
            "stamp (ns)",
            "camera",
            "session",
            "size",
            "bytes",
            "label",
            "x (m)",
            "y (m)",
            "z (m)",
        ],
        [],
    )
    for f in frames:
        size, place = "x".join(map(str, f["size"])), (f["pose"] or [None] * 3)[:3]
        row = [
            str(f["id"]),
            str(f["stamp_ns"]),
            f["camera"],
            f["session"],
            size,
            f["bytes"],
            f["label"],
            *place,
        ]
        rows.append([*row, f["likeness"]] if "likeness" in f else row)
    table(columns if args.like is None else [*columns, "likeness"], rows)


def recall(args: argparse.Namespace) -> None:
    with _bank(args) as bank:
        frame = bank.get(args.id) if args.id is not None else bank.nearest(args.stamp, args.camera)
        if frame is None:
            whose = f" of camera {args.camera}" if args.camera else ""
            raise GaussVaeError(f"no frame in {args.bank}{whose}")
        write_picture(args, frame.records, _facts(frame), models=[bank])


def export(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.files import write_file, write_image

    folder, count = Path(args.out), 0
    index = io.StringIO()
    rows = csv.writer(index)
    rows.writerow(
        [
            "file",
            "id",
            "stamp_ns",
            "camera",
            "session",
            "label",
            "x",
            "y",
            "z",
            "qx",
            "qy",
            "qz",
            "qw",
        ]
    )
    with _bank(args) as bank:
        codec = FrameCodec(models=[bank], remember=bank_copies.REMEMBER)
        folder.mkdir(parents=True, exist_ok=True)
        for f in tqdm(_found(bank, args), unit="frame", desc="export", delay=1, disable=None):
            write_image(folder / f"{f.id:08d}.png", codec.decode(f.records))
            place = [*f.pose.position, *f.pose.orientation] if f.pose else [""] * 7
            rows.writerow(
                [f"{f.id:08d}.png", f.id, f.stamp_ns, f.camera, f.session, f.label or "", *place]
            )
            count += 1
    write_file(folder / "index.csv", index.getvalue().encode())
    show(
        args,
        {"frames": count, "folder": args.out},
        f"{count} frames in {args.out}, listed in index.csv",
    )


def backup(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    with _bank(args) as bank:
        size = bank.size()
        with tqdm(
            total=size, unit="B", unit_scale=True, desc="backup", delay=1, disable=None
        ) as bar:
            bank.backup(args.out, lambda written: bar.update(min(written, size) - bar.n))
    with MemoryBank(args.out, readonly=True) as copy:
        frames, size = len(copy), copy.path.stat().st_size
    show(
        args,
        {"copy": args.out, "frames": frames, "bytes": size},
        f"{args.out}: {frames} frames, {size / 1e6:.1f} MB",
    )


def verify(args: argparse.Namespace) -> int:
    with _bank(args) as bank:
        frames, damages = len(bank), bank.verify()
        missing = [need for need in needs(bank) if need.name is None]
    for frame_id, problem in damages if not args.json else ():
        print(f"{'file' if frame_id is None else f'frame {frame_id}'}: {problem}")
    figures = {"frames": frames, "damages": damages}
    figures["missing_models"] = bank_models.as_figures(missing)
    lines = bank_models.missing_lines(missing)
    lines.append(f"{frames} frames, {f'{len(damages)} damaged' if damages else 'no damage'}")
    show(args, figures, "\n".join(lines))
    return 1 if damages else 0


def _bank(args: argparse.Namespace) -> MemoryBank:
    return MemoryBank(args.bank, readonly=True)


def _found(bank: MemoryBank, args: argparse.Namespace) -> Iterable[Frame]:
    given = options.given(args)
    return bank.find(**given) if given else bank


def _like(bank: MemoryBank, args: argparse.Namespace) -> list[tuple[Frame, float]]:
    descriptor = bank.descriptor(args.like)
    if descriptor is None:
        raise GaussVaeError(f"frame {args.like} was stored without a descriptor")
    return bank.find_like(descriptor, **options.given(args))


def _facts(frame: Frame) -> dict:
    return {
        "id": frame.id,
        "stamp_ns": frame.stamp_ns,
        "camera": frame.camera,
        "session": frame.session,
        "size": list(frame.size),
        "bytes": len(frame.data),
        "label": frame.label,
        "pose": [*frame.pose.position, *frame.pose.orientation] if frame.pose else None,
        "reference": frame.pose.reference if frame.pose else None,
        "frame_id": frame.frame_id or None,
        "map_id": frame.map_id or None,
        "needs": frame.reference,
    }
