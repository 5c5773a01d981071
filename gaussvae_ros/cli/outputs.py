"""What a verb writes replaces nothing that it reads, no other output of it, and no memory file."""

import argparse
import os
from itertools import combinations

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.files import SQLITE


def check(args: argparse.Namespace) -> None:
    """Refuse outputs that would destroy something, before the verb begins; `options.files` says
    which of its arguments are what.

    Raises:
        GaussVaeError: an output is an input, another output, or a database.
    """
    read = _paths(args, getattr(args, "reads", ()))
    written = _paths(args, getattr(args, "writes", ()))
    for out in filter(os.path.isfile, written):
        is_input = any(_same(out, path) for path in read)
        if is_input or _is_database(out):
            what = "an input of this command" if is_input else "a memory file or another database"
            raise GaussVaeError(
                f"{out} exists already and is {what}, which nothing overwrites: give the output"
                " another name"
            )
    for one, other in combinations(written, 2):
        if _same(one, other):
            raise GaussVaeError(f"{one} and {other} are one file: give each output its own name")


def _paths(args: argparse.Namespace, names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names:
        value = getattr(args, name)
        found += value if isinstance(value, list) else [value] if value else []
    return found


def _same(one: str, other: str) -> bool:
    """Whether two paths are one file, there or not yet, also by links; devices are no files."""
    if os.path.exists(one) and os.path.exists(other):
        return os.path.isfile(one) and os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def _is_database(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:  # the verb says what is the matter
        return False
