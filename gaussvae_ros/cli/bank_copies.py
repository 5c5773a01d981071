"""The verbs of `gaussvae bank` that write memory files: merge, reencode."""

import argparse
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.journal import journals
from gaussvae_ros.bank.merging import copy_frames
from gaussvae_ros.bank.opening import checked_path
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show
from gaussvae_ros.errors import BankError
from gaussvae_ros.needed_models import carry, needs

REMEMBER = 2**24  # bytes of what was decoded last: references serve many frames


def add_verbs(bank_verbs: argparse._SubParsersAction) -> None:
    """Add them, with their options."""
    made = options.verb(bank_verbs, "merge", merge, "frames of several memory files in a new one")
    made.add_argument("bank", metavar="BANK", nargs="+", help="a memory file")
    made.add_argument(
        "-o", "--out", metavar="NEW", required=True, help="the file to write, which must not exist"
    )
    options.conditions(made)
    options.file_mode(made)
    options.as_json(made)
    about = "records that need others replaced by ones that do not"
    made = options.bank_verb(bank_verbs, "reencode", reencode, about)
    options.encoding(made)
    options.as_json(made)


def merge(args: argparse.Namespace) -> int:
    """Write frames of several files into a new one, which is there once it is whole."""
    from tqdm import tqdm

    out = checked_path(args.out, readonly=False)
    if out.exists():
        raise BankError(f"{out} exists already: a merge overwrites nothing")
    partial = out.with_name(f".merging-{out.name}")
    given = options.given(args)
    limit = given.pop("limit", None)
    with ExitStack() as stack:
        banks = [stack.enter_context(MemoryBank(path, readonly=True)) for path in args.bank]
        chosen = [list(islice(bank.ids(**given), limit)) for bank in banks]
        wanted = sum(map(len, chosen))
        stack.callback(_delete, partial)
        _delete(partial)
        bar = tqdm(total=wanted, unit="frame", desc="merge", delay=1, disable=None)
        copied = 0
        with bar, MemoryBank(partial, file_mode=args.file_mode) as target:
            for bank, ids in zip(banks, chosen):
                whole = not given and limit is None
                copied += len(copy_frames(bank, target, None if whole else ids, bar.update))
        partial.rename(out)
    lost = wanted - copied
    figures = {"bank": args.out, "frames": copied, "damaged": lost, "bytes": out.stat().st_size}
    words = f", {lost} damaged ones left out" if lost else ""
    show(args, figures, f"{args.out}: {copied} frames{words}, {figures['bytes'] / 1e6:.1f} MB")
    return 1 if lost else 0


def reencode(args: argparse.Namespace) -> None:
    """Make every frame of a file decode from its own record."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.reencoding import make_whole

    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:  # which is not to be made
        bar = tqdm(unit="frame", desc="reencode", delay=1, disable=None)
        with bar:
            codec = FrameCodec(models=[bank], remember=REMEMBER)
            count = make_whole(bank, codec, args.quality, args.effort, bar.update)
        carry_needed(bank, codec)
        frames, size = len(bank), bank.size()
    figures = {"frames": frames, "reencoded": count, "bytes": size}
    show(args, figures, f"{args.bank}: {count} of {frames} frames reencoded, {size / 1e6:.1f} MB")


def carry_needed(bank: MemoryBank, codec: object) -> None:
    """Let a file carry what records need that the codec has made in it."""
    for need in needs(bank):
        if need.bytes is None and need.name is not None:
            carry(bank, codec.models, need.hash)


def _delete(path: Path) -> None:
    for file in (path, *journals(path)):
        file.unlink(missing_ok=True)
