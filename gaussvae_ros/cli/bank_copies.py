"""The verbs of `gaussvae bank` that write memory files: merge, reencode."""

import argparse
import csv
import io
from contextlib import ExitStack
from itertools import islice

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.journal import delete
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.bank.merging import Copied, copy_frames
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show
from gaussvae_ros.errors import BankError
from gaussvae_ros.files import naming, write_file
from gaussvae_ros.maintenance.needed_models import carry, needs

REMEMBER = 2**24  # bytes of what was decoded last: references serve many frames


def add_verbs(bank_verbs: argparse._SubParsersAction) -> None:
    """Add them, with their options."""
    made = options.verb(bank_verbs, "merge", merge, "frames of several memory files in a new one")
    made.add_argument("bank", metavar="BANK", nargs="+", help="a memory file")
    made.add_argument(
        "-o", "--out", metavar="NEW", required=True, help="the file to write, which must not exist"
    )
    made.add_argument(
        "--ids", metavar="CSV", help="a file to write, with the new id of every frame"
    )
    options.files(made, reads=("bank",), writes=("out", "ids"))
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
    with naming(out, partial), ExitStack() as stack:
        banks = [stack.enter_context(MemoryBank(path, readonly=True)) for path in args.bank]
        given = [options.given(args, bank) for bank in banks]
        limits = [conditions.pop("limit", None) for conditions in given]
        some = any(given) or args.limit is not None
        chosen = [
            list(islice(bank.ids(**conditions), limit)) if some else None
            for bank, conditions, limit in zip(banks, given, limits)
        ]
        volumes = [options.volumes_given(*pair) for pair in zip(given, banks)]
        wanted = sum(map(len, chosen if some else banks))
        stack.callback(delete, partial)
        delete(partial)
        bar = tqdm(total=wanted, unit="frame", desc="merge", delay=1, disable=None)
        with bar, MemoryBank(partial, file_mode=args.file_mode) as target:
            done = [
                copy_frames(bank, target, ids, volumes, bar.update)
                for bank, ids, volumes in zip(banks, chosen, volumes)
            ]
            names = {session["id"]: session["name"] for session in target.info()["sessions"]}
        if args.ids:
            write_file(args.ids, _mapping(args.bank, done), args.file_mode)
        partial.rename(out)
    lost, frames = sum(c.lost for c in done), sum(len(c.frames) for c in done)
    figures = {"bank": args.out, "frames": frames, "damaged": lost, "bytes": out.stat().st_size}
    figures["volumes"] = count = sum(len(c.volumes) for c in done)
    figures["sessions"] = [
        {"bank": bank, "id": old, "new_id": new, "name": names[new]}
        for bank, copied in zip(args.bank, done)
        for old, new in copied.sessions.items()
    ]
    words = f", {lost} damaged ones left out" if lost else ""
    words = (f", {count} volumes" if count else "") + words
    lines = [f"{args.out}: {frames} frames{words}, {figures['bytes'] / 1e6:.1f} MB"]
    for s in figures["sessions"]:
        lines.append(f"session {s['id']} of {s['bank']} is session {s['new_id']}: {s['name']}")
    show(args, figures, "\n".join(lines))
    return 1 if lost else 0


def reencode(args: argparse.Namespace) -> None:
    """Make every frame of a file decode from its own record."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.maintenance.reencoding import make_whole

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


def _mapping(banks: list[str], done: list[Copied]) -> bytes:
    """A CSV file with the new id of every frame."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("bank", "id", "new_id"))
    for bank, copied in zip(banks, done):
        rows.writerows((bank, *pair) for pair in copied.frames.items())
    return text.getvalue().encode(errors="replace")
