"""What the verbs' arguments share: the parser itself, and groups of options."""

import argparse
from collections.abc import Callable

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.likeness.label_likeness import LIKE
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.files import FILE_MODES, PRIVATE
from gaussvae_ros.record import TIERS

CONDITIONS = ("after", "before", "near", "radius", "reference", "yaw", "yaw_tolerance")
CONDITIONS += ("camera", "session", "label", "map_id", "text", "limit")
OF_VOLUMES = ("after", "before", "near", "radius", "reference", "session", "map_id")


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and ends with exit code 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def parse_known_args(self, args=None, namespace=None):
        """Refuses what it does not know by itself, so that the error names the verb's own help."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def verb(
    verbs: argparse._SubParsersAction, name: str, run: Callable, about: str
) -> argparse.ArgumentParser:
    """A new verb that calls `run` with its arguments."""
    made = verbs.add_parser(name, help=about, description=about)
    made.set_defaults(run=run)
    return made


def bank_verb(
    verbs: argparse._SubParsersAction, name: str, run: Callable, about: str
) -> argparse.ArgumentParser:
    """A new verb about a memory file."""
    made = verb(verbs, name, run, about)
    made.add_argument("bank", metavar="BANK", help="the memory file")
    files(made, reads=("bank",))
    return made


def files(
    made: argparse.ArgumentParser, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()
) -> None:
    """Say which arguments of a verb are files that it reads, and which files that it writes
    anew, so that `outputs.check` knows."""
    made.set_defaults(
        reads=(made.get_default("reads") or ()) + reads,
        writes=(made.get_default("writes") or ()) + writes,
    )


def quality(made: argparse.ArgumentParser) -> None:
    """How frames are encoded, with an option of the first releases."""
    encoding(made)
    tier(made)


def encoding(made: argparse.ArgumentParser) -> None:
    """How frames are encoded."""
    made.add_argument(
        "--quality",
        type=float,
        default=50,
        metavar="Q",
        help="0 (0.1 KB a frame) to 100 (36 KB); 50, the default, is about 0.5 KB",
    )
    made.add_argument(
        "--effort",
        choices=("fast", "best"),
        default="fast",
        help="camera rate (default), or slow and better",
    )


def tier(made: argparse.ArgumentParser) -> None:
    """An option of the first releases."""
    made.add_argument("--tier", choices=TIERS, help="no longer used: quality says it all")


def as_json(made: argparse.ArgumentParser) -> None:
    """Figures as JSON."""
    made.add_argument("--json", action="store_true", help="print figures as JSON")


def samples(made: argparse.ArgumentParser) -> None:
    """Where prepared samples are."""
    made.add_argument(
        "--data", metavar="DIR", required=True, help="samples made by gaussvae train prepare"
    )


def picture(made: argparse.ArgumentParser) -> None:
    """The image file to write, and what of the frame it shows."""
    made.add_argument(
        "-o",
        "--out",
        metavar="IMAGE",
        required=True,
        help="PNG, JPEG, WebP, BMP or TIFF, by its ending",
    )
    files(made, writes=("out",))
    made.add_argument(
        "--size", type=numbers("x", 2), metavar="WxH", help="px, instead of the frame's own size"
    )
    made.add_argument(
        "--roi", type=numbers(",", 4), metavar="X,Y,W,H", help="only this part of the frame, px"
    )


def conditions(made: argparse.ArgumentParser, limit: bool = True) -> None:
    """Which frames of a memory file are meant."""
    times_and_places(made)
    made.add_argument(
        "--yaw", type=float, metavar="A", help="with --near: rad, looking there; 0 is along x"
    )
    made.add_argument("--yaw-tolerance", type=float, metavar="A", help="rad, around --yaw")
    made.add_argument("--camera", metavar="C")
    made.add_argument("--label", metavar="L")
    made.add_argument(
        "--text", metavar="T", help="words that are read there, or in the label or session's name"
    )
    if limit:
        made.add_argument("--limit", type=count, metavar="N", help="at most so many frames")


def places(made: argparse.ArgumentParser) -> None:
    """Which volumes of a memory file are meant."""
    times_and_places(made)
    made.add_argument("--limit", type=count, metavar="N", help="at most so many")


def times_and_places(made: argparse.ArgumentParser) -> None:
    """When and where what is meant was made."""
    made.add_argument("--after", type=int, metavar="NS", help="stamp, ns, at least")
    made.add_argument("--before", type=int, metavar="NS", help="stamp, ns, at most")
    made.add_argument(
        "--near", type=float, nargs=3, metavar=("X", "Y", "Z"), help="position, m; needs --radius"
    )
    made.add_argument("--radius", type=float, metavar="R", help="m, around --near")
    made.add_argument(
        "--reference", metavar="FRAME", help="with --near: only poses in this coordinate frame"
    )
    made.add_argument("--session", metavar="S", help="its id, or its name if no other has it")
    map_id(made, "only sessions whose poses are in this map")


def given(args: argparse.Namespace, bank: MemoryBank) -> dict:
    """Those of the conditions that were given, as `MemoryBank.find` takes them."""
    values = {name: getattr(args, name, None) for name in CONDITIONS}
    if (values["label"] or "").startswith(LIKE):
        raise GaussVaeError(f"--label {values['label']}, frames that look so, is of bank list")
    found = {name: value for name, value in values.items() if value is not None}
    if "session" in found:
        found["session"] = session_of(bank, found["session"])
    return found


def volumes_given(given: dict, bank: MemoryBank) -> list[int]:
    """The volumes that meet conditions of frames; none where those are of frames only."""
    asked = {name: value for name, value in given.items() if name != "limit"}
    return bank.volume_ids(**asked) if set(asked) <= set(OF_VOLUMES) else []


def file_mode(made: argparse.ArgumentParser) -> None:
    """Who may open what is made."""
    made.add_argument(
        "--file-mode",
        type=_mode,
        default=PRIVATE,
        metavar="MODE",
        help=f"who may open it: {FILE_MODES[0]}, its owner (default), or a group, too:"
        f" {' or '.join(FILE_MODES[1:])}",
    )


def encoder(made: argparse.ArgumentParser, about: str) -> None:
    """An encoder of images and texts."""
    made.add_argument("--encoder", metavar="YAML", help=f"{about}; docs/words.md says more")


def map_id(made: argparse.ArgumentParser, about: str) -> None:
    """Which map poses are in."""
    made.add_argument("--map-id", metavar="MAP", help=about)


def session_of(bank: MemoryBank, text: str) -> int:
    """The id of a session that is named by it, or by its name."""
    if text.isdecimal():
        return int(text)
    ids = [session["id"] for session in bank.info()["sessions"] if session["name"] == text]
    if len(ids) > 1:
        raise BankError(f"sessions {', '.join(map(str, ids))} are called {text!r}: give an id")
    if not ids:
        raise BankError(f"no session in {bank.path} is called {text!r}")
    return ids[0]


def count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames, of at least 1")
    return int(text)


def _mode(text: str) -> int:
    if text not in FILE_MODES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(FILE_MODES)}")
    return int(text, 8)


def numbers(separator: str, count: int) -> Callable:
    """The type of an option that is `count` whole numbers, such as 640x480."""

    def parse(text: str) -> tuple[int, ...]:
        parts = text.split(separator)
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not {count} whole numbers with {separator!r} between them"
            )
        return tuple(map(int, parts))

    return parse
