"""The `gaussvae` command: thin verbs around the package's functions. docs/cli.md describes every
one.

Whatever is heavy is imported inside the verbs, so that `gaussvae --help` answers at once. Exit
codes: 0, 1 for damage that `bank verify` finds, 2 for bad input, with one line on stderr.
"""

import argparse
import errno
import io
import logging
import os
import sys

from gaussvae_ros import __version__
from gaussvae_ros.cli import outputs
from gaussvae_ros.cli.options import Parser
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.threads import one_each

FULL = (errno.ENOSPC, errno.EDQUOT)  # as a write says that is told no name


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    if argv is None and sys.argv[1:2] != ["train"]:  # a training shares out more than a frame
        one_each()
    warnings = _Warnings()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: names that are not UTF-8
    logging.getLogger("gaussvae_ros").handlers = [warnings]
    try:
        args = parser().parse_args(argv)
        outputs.check(args)
        code = args.run(args) or 0
        sys.stdout.flush()
        for text in warnings.texts:
            _complain(text)
        return code
    except GaussVaeError as error:
        return _complain(str(error))
    except BrokenPipeError:  # `gaussvae bank list ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        name = error.filename or (_asked(args) if error.errno in FULL else None)
        return _complain(
            f"{name}: {error.strerror}" if name and error.strerror else error.strerror or str(error)
        )
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    from gaussvae_ros.cli import (
        agents,
        bank,
        evaluate,
        fleet,
        train,
        verbs,
        volume,
    )  # which bring numpy

    top = Parser(
        prog="gaussvae", description="A robot's visual memory: camera frames as 2D Gaussian splats."
    )
    top.add_argument("--version", action="version", version=f"gaussvae_ros {__version__}")
    all_verbs = top.add_subparsers(title="verbs", required=True, metavar="VERB")
    for module in (verbs, evaluate, train, bank, fleet, volume, agents):
        module.add_verbs(all_verbs)
    return top


class _Warnings(logging.Handler):
    """Keeps what the package logs, such as damaged frames, for the end: an error that stops the
    verb says it all.

    That kernels are being compiled is said at once.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "gaussvae_ros.kernels.cache":
            _complain(record.getMessage())
        elif (text := record.getMessage()) not in self.texts:  # nothing is said twice
            self.texts.append(text)


def _asked(args: argparse.Namespace) -> str | None:
    """What a verb was to write."""
    names = ("out", "report", "to")
    return next(filter(None, (getattr(args, name, None) for name in names)), None)


def _complain(text: str, code: int = 2) -> int:
    print(f"gaussvae: {' '.join(text.split())}", file=sys.stderr)
    return code
