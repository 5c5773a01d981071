"""The `gaussvae` command: thin verbs around the package's functions. docs/cli.md describes every one.

Whatever is heavy is imported inside the verbs, so that `gaussvae --help` answers at once. Exit codes: 0, 1 for damage
that `bank verify` finds, 2 for bad input, with one line on stderr.
"""

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.record import TIERS
from gaussvae_ros.threads import one_each


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
        return _complain(
            f"{error.filename}: {error.strerror}"
            if error.filename and error.strerror
            else error.strerror or str(error)
        )
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    from gaussvae_ros.cli import bank, train, verbs  # which bring numpy

    top = _Parser(
        prog="gaussvae", description="A robot's visual memory: camera frames as 2D Gaussian splats."
    )
    all_verbs = top.add_subparsers(title="verbs", required=True, metavar="VERB")

    verb = _verb(all_verbs, "encode", verbs.encode, "an image file to a record file")
    verb.add_argument("image", metavar="IMAGE")
    verb.add_argument("-o", "--out", metavar="RECORD", required=True)
    _quality(verb)
    _json(verb)

    verb = _verb(all_verbs, "decode", verbs.decode, "a record file to an image file")
    verb.add_argument("record", metavar="RECORD")
    _picture(verb)
    _json(verb)

    verb = _verb(
        all_verbs,
        "replay",
        verbs.replay,
        "a bag through codec and bank, measured beside JPEG and WebP",
    )
    verb.add_argument("bag", metavar="BAG", help="rosbag1 file, rosbag2 folder, .db3 or .mcap file")
    verb.add_argument(
        "--topic",
        metavar="T",
        help="images to replay; needed when the bag has several image topics",
    )
    verb.add_argument(
        "--pose-topic", metavar="P", help="Odometry, pose or TF topic; default: which fits"
    )
    verb.add_argument(
        "--bank", metavar="FILE", help="memory file to add the frames to; default: a temporary one"
    )
    verb.add_argument(
        "--report", metavar="DIR", help="folder for report.html with pictures and plots"
    )
    verb.add_argument(
        "--compare",
        metavar="N",
        type=int,
        default=8,
        help="frames that the peers get too (default 8)",
    )
    _quality(verb)
    _json(verb)

    verb = _verb(
        all_verbs,
        "evaluate",
        verbs.evaluate,
        "rate and distortion on images, beside JPEG, WebP, AV1, HEVC and VVC",
    )
    verb.add_argument(
        "images",
        metavar="IMAGES",
        nargs="+",
        help="image files, and folders of them; with --frames videos, too",
    )
    verb.add_argument(
        "--out", metavar="DIR", required=True, help="folder for report.html, figures and tables"
    )
    verb.add_argument(
        "--models",
        metavar="MODEL",
        nargs="+",
        help="compare these models, names or files, not the codec's settings",
    )
    verb.add_argument(
        "--frames",
        metavar="N",
        type=int,
        help="640x480 px frames, N evenly spread of each folder or video; default: all, as they are",
    )
    verb.add_argument(
        "--qualities",
        metavar="Q",
        nargs="+",
        type=float,
        help="of our curve, 0 to 100; default: eight from 10 to 100",
    )
    verb.add_argument(
        "--peers",
        metavar="CODEC",
        nargs="*",
        help="of jpeg, webp, av1, hevc and vvc; default: all that are installed",
    )
    _json(verb)

    verb = _verb(
        all_verbs, "bench", verbs.bench, "speed and quality on this machine, beside the targets"
    )
    verb.add_argument(
        "parts",
        metavar="PART",
        nargs="*",
        help="fit, record, latent, decode, bank, start, replay or ros; default: all",
    )
    verb.add_argument(
        "--images", metavar="PATH", nargs="+", default=(), help="measure the first four on these"
    )
    verb.add_argument(
        "--soak",
        action="store_true",
        help="of ros: the nodes through mixed faults instead, for minutes",
    )
    verb.add_argument(
        "--minutes", metavar="M", type=float, default=10.0, help="of --soak (default 10)"
    )
    _json(verb)

    _verb(
        all_verbs,
        "compile",
        verbs.compile_,
        "all machine code that the codec needs, kept for later processes",
    )

    verb = _verb(
        all_verbs, "demo", verbs.demo, "a simulated drive, replayed, recalled and reported"
    )
    verb.add_argument(
        "--out", metavar="DIR", default="demo_out", help="folder for all files (default demo_out)"
    )
    verb.add_argument(
        "--seconds", metavar="S", type=float, default=30.0, help="length of the drive (default 30)"
    )
    _json(verb)

    about = "train what the codec ships with"
    train_verbs = all_verbs.add_parser("train", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    verb = _verb(
        train_verbs, "prior", train.train_prior, "the probabilities that records are coded with"
    )
    verb.add_argument(
        "images", metavar="IMAGES", nargs="+", help="image files, and folders of them"
    )
    verb.add_argument("--out", metavar="FILE", required=True, help="the JSON file to write")
    verb.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of fits and training (default 0)"
    )
    _json(verb)

    verb = _verb(
        train_verbs, "prepare", train.train_prepare, "pictures to samples that a model learns from"
    )
    verb.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="folder of images, image, video, bag, or sim"
    )
    verb.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder for the samples; a stopped run goes on there",
    )
    verb.add_argument(
        "--crops", metavar="K", type=int, default=8, help="random crops of each picture (default 8)"
    )
    verb.add_argument(
        "--every",
        metavar="N",
        type=int,
        help="one frame in N of videos and bags; default: two a second",
    )
    verb.add_argument(
        "--size",
        metavar="WxH",
        type=_numbers("x", 2),
        default=(320, 240),
        help="px of a crop (default 320x240)",
    )
    verb.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of crops and split (default 0)"
    )
    verb.add_argument("--jobs", metavar="N", type=int, help="processes; default: one for each core")
    _json(verb)

    verb = _verb(
        train_verbs, "run", train.train_run, "a model, as a config says, on prepared samples"
    )
    verb.add_argument("config", metavar="CONFIG", help="YAML file; config/ has one for each model")
    _samples(verb)
    verb.add_argument(
        "--out", metavar="DIR", required=True, help="folder for model, checkpoint and curves"
    )
    verb.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    _json(verb)

    verb = _verb(
        train_verbs, "search", train.train_search, "the best values of a config, by short trainings"
    )
    verb.add_argument("config", metavar="CONFIG", help="YAML file with a section search")
    _samples(verb)
    verb.add_argument(
        "--storage",
        metavar="URL",
        required=True,
        help="database, or a file's path, that processes share",
    )
    verb.add_argument(
        "--trials", metavar="N", type=int, required=True, help="trainings that this process does"
    )
    _json(verb)

    verb = _verb(
        train_verbs,
        "latents",
        train.train_latents,
        "the probabilities that latent records are coded with",
    )
    _samples(verb)
    verb.add_argument(
        "--model", metavar="MODEL", required=True, help="model file or name, which is not changed"
    )
    verb.add_argument("--out", metavar="FILE", required=True, help="the model file to write")
    verb.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of pictures and training (default 0)"
    )
    _json(verb)

    about = "look into a memory file"
    bank_verbs = all_verbs.add_parser("bank", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    verb = _bank_verb(bank_verbs, "info", bank.info, "what the file holds")
    _json(verb)
    verb = _bank_verb(bank_verbs, "list", bank.list_, "frames, by stamp or by likeness")
    _conditions(verb)
    verb.add_argument(
        "--like", type=int, metavar="N", help="most like the frame with this id first"
    )
    _json(verb)
    verb = _bank_verb(bank_verbs, "recall", bank.recall, "one frame as an image file")
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=int, metavar="N", help="the frame with this id")
    which.add_argument(
        "--stamp", type=int, metavar="NS", help="the frame nearest to this stamp, ns"
    )
    verb.add_argument("--camera", metavar="C", help="with --stamp: only frames of this camera")
    _picture(verb)
    _json(verb)
    verb = _bank_verb(bank_verbs, "export", bank.export, "frames as image files with an index.csv")
    verb.add_argument("-o", "--out", metavar="DIR", required=True)
    _conditions(verb)
    _json(verb)
    verb = _bank_verb(bank_verbs, "backup", bank.backup, "a copy, also while the file is written")
    verb.add_argument(
        "-o", "--out", metavar="COPY", required=True, help="the file to write, which must not exist"
    )
    _json(verb)
    verb = _bank_verb(
        bank_verbs, "verify", bank.verify, "read every frame; exit code 1 if there is damage"
    )
    _json(verb)
    return top


class _Warnings(logging.Handler):
    """Keeps what the package logs, such as damaged frames, for the end: an error that stops the verb says it all.

    That kernels are being compiled is said at once.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "gaussvae_ros.kernel_cache":
            _complain(record.getMessage())
        else:
            self.texts.append(record.getMessage())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _verb(
    verbs: argparse._SubParsersAction, name: str, run: Callable, about: str
) -> argparse.ArgumentParser:
    made = verbs.add_parser(name, help=about, description=about)
    made.set_defaults(run=run)
    return made


def _bank_verb(
    verbs: argparse._SubParsersAction, name: str, run: Callable, about: str
) -> argparse.ArgumentParser:
    made = _verb(verbs, name, run, about)
    made.add_argument("bank", metavar="BANK", help="the memory file")
    return made


def _quality(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--tier",
        choices=TIERS,
        default="latent",
        help="latent: smallest (default); splats: more detail",
    )
    verb.add_argument(
        "--quality",
        type=float,
        default=50,
        metavar="Q",
        help="0 to 100; 50 (default) is about 0.5 KB, or 2 KB of splats",
    )
    verb.add_argument(
        "--effort",
        choices=("fast", "best"),
        default="fast",
        help="camera rate (default), or slow and better",
    )


def _json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print figures as JSON")


def _samples(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--data", metavar="DIR", required=True, help="samples made by gaussvae train prepare"
    )


def _picture(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "-o",
        "--out",
        metavar="IMAGE",
        required=True,
        help="PNG, JPEG, WebP, BMP or TIFF, by its ending",
    )
    verb.add_argument(
        "--size", type=_numbers("x", 2), metavar="WxH", help="px, instead of the frame's own size"
    )
    verb.add_argument(
        "--roi", type=_numbers(",", 4), metavar="X,Y,W,H", help="only this part of the frame, px"
    )


def _conditions(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--after", type=int, metavar="NS", help="stamp, ns, at least")
    verb.add_argument("--before", type=int, metavar="NS", help="stamp, ns, at most")
    verb.add_argument(
        "--near", type=float, nargs=3, metavar=("X", "Y", "Z"), help="position, m; needs --radius"
    )
    verb.add_argument("--radius", type=float, metavar="R", help="m, around --near")
    verb.add_argument("--camera", metavar="C")
    verb.add_argument("--session", type=int, metavar="S")
    verb.add_argument("--label", metavar="L")
    verb.add_argument("--limit", type=int, metavar="N", help="at most so many frames")


def _numbers(separator: str, count: int) -> Callable:
    def parse(text: str) -> tuple[int, ...]:
        parts = text.split(separator)
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not {count} whole numbers with {separator!r} between them"
            )
        return tuple(map(int, parts))

    return parse


def _complain(text: str, code: int = 2) -> int:
    print(f"gaussvae: {' '.join(text.split())}", file=sys.stderr)
    return code
