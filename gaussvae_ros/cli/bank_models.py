"""The models of a memory file, for the verbs of `gaussvae bank`: which are needed, carried,
added.
"""

import argparse
from dataclasses import asdict

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.cli.show import show, table
from gaussvae_ros.maintenance.needed_models import Need, carry, needs


def add_model(args: argparse.Namespace) -> None:
    """Let the file carry one model, or all that its records need and that are around."""
    from gaussvae_ros.model_files import find
    from gaussvae_ros.vae.models import Models

    path = find(args.model) if args.model else None
    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:  # which is not to be made
        models = Models([bank])
        wanted = models.load(path) if path else None
        needed, missing = needs(bank, models), []
        hashes = [need.hash for need in needed if need.name is not None]
        if wanted is None:
            missing = [need for need in needed if need.name is None]
        else:
            hashes = sorted({wanted.hash, *(h for h in hashes if models.get(h) is wanted)})
        added = {hash_ for hash_ in hashes if carry(bank, models, hash_)}
        carried = {hash_: (name, size) for hash_, name, size in bank.models()}
    figures = {"added": [], "there": [], "missing": []}
    lines = []
    for hash_ in hashes:
        name, size = carried[hash_]
        row = {"hash": hash_.hex(), "name": name, "bytes": size}
        figures["added" if hash_ in added else "there"].append(row)
        done = "added" if hash_ in added else "was there already"
        lines.append(f"model {hash_.hex()} ({name}, {size:,} bytes): {done}")
    figures["missing"] = [{"hash": need.hash.hex(), "records": need.records} for need in missing]
    lines += missing_lines(missing)
    show(args, figures, "\n".join(lines) or f"no record in {args.bank} needs a model")


def as_figures(needed: list[Need]) -> list[dict]:
    """They, ready for JSON."""
    return [
        {**asdict(need), "hash": need.hash.hex(), "missing": need.name is None} for need in needed
    ]


def print_needed(needed: list[Need]) -> None:
    """Print a table of them, where there are any."""
    rows = []
    for need in needed:
        where = "nowhere to be found" if need.name is None else "not in the file"
        if need.bytes is not None:
            where = f"in the file, {need.bytes:,} bytes"
        rows.append([need.hash.hex(), need.name, need.records, where])
    if rows:
        table(("model", "name", "records", "is"), rows)


def missing_lines(needed: list[Need]) -> list[str]:
    """A line for each that is nowhere to be found."""
    return [
        f"model {need.hash.hex()}, which {need.records} records need, is nowhere to be found"
        for need in needed
        if need.name is None
    ]
