"""`gaussvae bank redact`: parts of pictures, or frames, gone for good."""

import argparse

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.cli import options
from gaussvae_ros.cli.bank_copies import REMEMBER, carry_needed
from gaussvae_ros.cli.show import show
from gaussvae_ros.errors import GaussVaeError


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "boxes of a frame, or frames, gone for good: from the file, its journal and free pages"
    made = options.bank_verb(bank_verbs, "redact", redact, about)
    made.add_argument("--id", type=int, metavar="N", help="the frame with this id; needs --box")
    made.add_argument(
        "--box",
        type=options.numbers(",", 4),
        action="append",
        metavar="X,Y,W,H",
        help="px of the frame that are filled with one colour; may be given several times",
    )
    options.conditions(made, limit=False)
    options.encoding(made)
    options.as_json(made)


def redact(args: argparse.Namespace) -> None:
    """Do it, and say what went."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.maintenance.redaction import Redaction

    if bool(args.box) != (args.id is not None):
        raise GaussVaeError("--id and --box go together: which frame, and what of it")
    removed, volumes, boxes = [], [], args.box or []
    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:  # which is not to be made
        given = options.given(args, bank)
        if bool(given) == bool(boxes):
            raise GaussVaeError(
                "say what is to go: --id and --box, or conditions of frames such as --after and"
                " --before, or --near and --radius"
            )
        bar = tqdm(unit="frame", desc="reencode", delay=1, disable=None)
        codec = FrameCodec(models=[bank], remember=REMEMBER)
        work = Redaction(bank, codec, args.quality, args.effort, bar.update)
        with bar:
            if args.id is not None:
                whole = work.blank(args.id, boxes)
            else:
                removed = bank.ids(**given)
                volumes = options.volumes_given(given, bank)
                whole = work.remove(removed, volumes)
        carry_needed(bank, codec)
        frames, size = len(bank), bank.size()
    figures = {"removed": len(removed), "boxes": len(boxes), "reencoded": whole}
    figures["volumes"] = len(volumes)
    figures["unreadable"] = work.unreadable
    figures |= {"frames": frames, "bytes": size}
    what = f"{len(boxes)} boxes of frame {args.id} filled" if boxes else f"{len(removed)} removed"
    what += f", {len(volumes)} volumes" if volumes else ""
    lines = [f"{args.bank}: {what}, {frames} frames left, {size / 1e6:.1f} MB"]
    if whole:
        some = ", ".join(map(str, whole[:10])) + ", ..." * (len(whole) > 10)
        lines.append(
            f"{len(whole)} frames that were predicted from what is gone have records of their own"
            f" and show what they showed: {some}"
        )
    if work.unreadable:
        lines.append(
            "frames that were predicted from it and could not be read went, too:"
            f" {', '.join(map(str, work.unreadable))}"
        )
    show(args, figures, "\n".join(lines))
