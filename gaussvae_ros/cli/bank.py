"""The verbs of `gaussvae bank`: look into a memory file, take frames out of it."""

import argparse

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.schema import TALLY
from gaussvae_ros.cli import (
    bank_copies,
    bank_describe,
    bank_embed,
    bank_export,
    bank_list,
    bank_loops,
    bank_models,
    bank_redact,
    bank_repair,
    bank_timeline,
    bank_volume,
    budgets,
    options,
)
from gaussvae_ros.cli.bank_list import facts
from gaussvae_ros.cli.show import show, table, write_picture
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.files import PRIVATE
from gaussvae_ros.maintenance.needed_models import needs

ENDS = ("first_ns", "last_ns")


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs of `gaussvae bank`, with their options."""
    about = "look into a memory file"
    bank_verbs = all_verbs.add_parser("bank", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    made = options.bank_verb(bank_verbs, "info", info, "what the file holds")
    options.as_json(made)
    bank_list.add_verb(bank_verbs)
    made = options.bank_verb(bank_verbs, "recall", recall, "one frame as an image file")
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=int, metavar="N", help="the frame with this id")
    which.add_argument(
        "--stamp", type=int, metavar="NS", help="the frame nearest to this stamp, ns"
    )
    made.add_argument("--camera", metavar="C", help="with --stamp: only frames of this camera")
    options.picture(made)
    options.as_json(made)
    bank_export.add_verb(bank_verbs)
    made = options.bank_verb(bank_verbs, "backup", backup, "a copy, also while the file is written")
    made.add_argument(
        "-o", "--out", metavar="COPY", required=True, help="the file to write, which must not exist"
    )
    options.files(made, writes=("out",))
    options.file_mode(made)
    options.as_json(made)
    bank_copies.add_verbs(bank_verbs)
    budgets.add_verb(bank_verbs)
    bank_timeline.add_verb(bank_verbs)
    bank_loops.add_verb(bank_verbs)
    bank_describe.add_verb(bank_verbs)
    bank_redact.add_verb(bank_verbs)
    bank_embed.add_verb(bank_verbs)
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
    bank_volume.add_verbs(bank_verbs)


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


def recall(args: argparse.Namespace) -> None:
    with _bank(args) as bank:
        frame = bank.get(args.id) if args.id is not None else bank.nearest(args.stamp, args.camera)
        if frame is None:
            whose = f" of camera {args.camera}" if args.camera else ""
            raise GaussVaeError(f"no frame in {args.bank}{whose}")
        write_picture(args, frame.records, facts(frame), models=[bank], mode=PRIVATE)


def backup(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    with MemoryBank(args.bank, readonly=True, file_mode=args.file_mode) as bank:
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
