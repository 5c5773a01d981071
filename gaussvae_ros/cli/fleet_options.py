"""What the verbs of `gaussvae fleet` share: options, and the packages that they take."""

import argparse
import functools
import re
from collections.abc import Callable

from gaussvae_ros.cli import options
from gaussvae_ros.errors import FleetError, GaussVaeError
from gaussvae_ros.extras import install

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def extra(run: Callable) -> Callable:
    """A verb that says in one line which packages it lacks."""

    @functools.wraps(run)
    def checked(args: argparse.Namespace) -> int | None:
        try:
            import fsspec  # noqa: F401
            import psycopg  # noqa: F401
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise FleetError(
                f"gaussvae fleet needs packages ({error}): {install('fleet')}"
            ) from error
        return run(args)

    return checked


def catalogue(made: argparse.ArgumentParser, about: str) -> None:
    """Which catalogue."""
    made.add_argument("--catalogue", metavar="DB", help=f"{about}: postgresql://host/name")


def url(made: argparse.ArgumentParser, name: str, about: str) -> None:
    """An archive."""
    made.add_argument(name, dest="url", metavar="URL", help=about)


def conditions(made: argparse.ArgumentParser) -> None:
    """Which frames are meant, of which robots."""
    made.add_argument("--robot", metavar="NAME", nargs="+", help="only of these robots")
    options.conditions(made)


def given(args: argparse.Namespace) -> dict:
    """Those of the conditions that were given, as `finding.conditions` takes them."""
    values = {name: getattr(args, name) for name in options.CONDITIONS if name != "limit"}
    if (values["label"] or "").startswith(options.LIKE):
        raise GaussVaeError(f"--label {values['label']}, frames that look so, is of bank list")
    found = {name: value for name, value in values.items() if value is not None}
    return found | ({"robots": args.robot} if args.robot else {})


def rate(text: str) -> float:
    """Bytes a second, from words such as 500k."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes, as 500k or 2M")
    return float(match[1]) * _UNITS[match[2]]
