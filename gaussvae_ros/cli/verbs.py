"""The verbs that run the codec: encode, decode, replay, bench, compile, demo."""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.journal import delete
from gaussvae_ros.cli import budgets, options
from gaussvae_ros.cli.show import replayed, show, table, warn, write_picture
from gaussvae_ros.errors import GaussVaeError, RecordError

log = logging.getLogger(__name__)


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs that run the codec, with their options."""
    made = options.verb(all_verbs, "encode", encode, "an image file to a record file")
    made.add_argument("image", metavar="IMAGE")
    made.add_argument("-o", "--out", metavar="RECORD", required=True)
    options.files(made, reads=("image",), writes=("out",))
    options.quality(made)
    options.as_json(made)

    made = options.verb(all_verbs, "decode", decode, "a record file to an image file")
    made.add_argument("record", metavar="RECORD")
    options.files(made, reads=("record",))
    options.picture(made)
    options.as_json(made)

    made = options.verb(
        all_verbs, "replay", replay, "a bag through codec and bank, measured beside JPEG and WebP"
    )
    made.add_argument("bag", metavar="BAG", help="rosbag1 file, rosbag2 folder, .db3 or .mcap file")
    made.add_argument(
        "--topic",
        metavar="T",
        help="images to replay; needed when the bag has several image topics",
    )
    made.add_argument(
        "--pose-topic", metavar="P", help="Odometry, pose or TF topic; default: which fits"
    )
    made.add_argument(
        "--bank", metavar="FILE", help="memory file to add the frames to; default: a temporary one"
    )
    made.add_argument(
        "--report", metavar="DIR", help="folder for report.html with pictures and plots"
    )
    options.map_id(made, "name of the map that the poses are in, kept with the sessions")
    made.add_argument(
        "--compare",
        metavar="N",
        type=int,
        default=8,
        help="frames that the peers get too (default 8)",
    )
    made.add_argument(
        "--no-predict",
        action="store_true",
        help="let each record stand alone instead of predicting it from earlier ones",
    )
    made.add_argument(
        "--ahead",
        metavar="N",
        type=int,
        default=2,
        help="how many frames may wait for a later one to be predicted from (default 2)",
    )
    made.add_argument(
        "--text",
        action="store_true",
        help="read signs and numbers in a frame a second; needs the extra text",
    )
    options.encoder(made, "file of an encoder that makes a vector of a frame a second")
    budgets.add_budget(made, budgets.POLICIES)
    options.quality(made)
    options.as_json(made)

    made = options.verb(
        all_verbs, "bench", bench, "speed and quality on this machine, beside the targets"
    )
    made.add_argument(
        "parts",
        metavar="PART",
        nargs="*",
        help="fit, codec, ablation, decode, bank, durability, forgetting, timeline, start, replay,"
        " fleet or ros; default: all",
    )
    made.add_argument(
        "--images", metavar="PATH", nargs="+", default=(), help="measure the first four on these"
    )
    made.add_argument(
        "--frames",
        metavar="N",
        type=int,
        default=100_000,
        help="of the memory that bank and fleet are measured on (default 100000; up to 10 million)",
    )
    made.add_argument(
        "--rows", metavar="N", type=int, default=100_000, help="of fleet: rows of the catalogue"
    )
    made.add_argument(
        "--catalogue", metavar="DB", help="of fleet: an empty database to measure a catalogue in"
    )
    made.add_argument(
        "--soak",
        action="store_true",
        help="of ros: the nodes through mixed faults instead, for minutes",
    )
    made.add_argument(
        "--minutes", metavar="M", type=float, default=10.0, help="of --soak (default 10)"
    )
    options.as_json(made)

    options.verb(
        all_verbs,
        "compile",
        compile_,
        "all machine code that the codec needs, kept for later processes",
    )

    made = options.verb(
        all_verbs, "demo", demo, "a simulated drive, replayed, recalled and reported"
    )
    made.add_argument(
        "--out", metavar="DIR", default="demo_out", help="folder for all files (default demo_out)"
    )
    made.add_argument(
        "--seconds", metavar="S", type=float, default=30.0, help="length of the drive (default 30)"
    )
    options.as_json(made)


def encode(args: argparse.Namespace) -> None:
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.compile import warm_up
    from gaussvae_ros.evaluation.images import read_image
    from gaussvae_ros.evaluation.metrics import EQUAL, psnr
    from gaussvae_ros.files import write_file

    image, codec = read_image(args.image), FrameCodec()
    warm_up(codec, args.effort)
    begun = time.perf_counter()
    data = codec.encode(image, _quality(args), args.effort)
    taken = 1e3 * (time.perf_counter() - begun)
    write_file(args.out, data)
    quality = min(psnr(image, codec.decode(data)), EQUAL)
    figures = {"record": args.out, "bytes": len(data), "psnr": quality, "encode_ms": taken}
    show(
        args,
        figures,
        f"{args.out}: {len(data):,} bytes, {quality:.2f} dB, encoded in {taken:.0f} ms",
    )


def decode(args: argparse.Namespace) -> None:
    data = Path(args.record).read_bytes()
    try:
        write_picture(args, data)
    except RecordError as error:
        raise RecordError(f"{args.record}: {error}") from error


def replay(args: argparse.Namespace) -> None:
    from gaussvae_ros.bags import Bag
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.looking.looks import Looks
    from gaussvae_ros.replay import replay as run

    if args.compare < 0:
        raise GaussVaeError(f"--compare must be at least 0, not {args.compare}")
    if args.ahead < 0:
        raise GaussVaeError(f"--ahead must be at least 0, not {args.ahead}")
    looks = Looks(args.text, args.encoder or "")
    looks.check()
    with Bag(args.bag) as bag:  # before the codec loads and a memory file appears
        bag.image_topic(args.topic)
    with tempfile.TemporaryDirectory(prefix="gaussvae_") as folder:
        path = Path(args.bank or Path(folder) / "memory.db")
        new = not path.exists()
        with MemoryBank(path) as bank, _unless_empty(bank, new):
            result = run(
                args.bag,
                FrameCodec(),
                bank,
                args.topic,
                args.pose_topic,
                _quality(args),
                args.effort,
                args.compare,
                args.report,
                args.map_id or "",
                not args.no_predict,
                args.ahead,
                budgets.budget_of(args),
                args.coarse_quality,
                looks,
            )
    _show_replay(args, {**result, "bank": args.bank})


@contextmanager
def _unless_empty(bank: MemoryBank, new: bool) -> Iterator[None]:
    """Delete a new memory file again, while nobody else may write it, if an error leaves it
    without a session."""
    try:
        yield
    except BaseException:
        if new and not bank.info()["sessions"]:
            delete(Path(os.path.realpath(bank.path)))
        raise


def bench(args: argparse.Namespace) -> None:
    from gaussvae_ros.bench.parts import run, run_soak

    if args.soak and args.parts != ["ros"]:
        raise GaussVaeError("--soak is of ros: gaussvae bench ros --soak")
    if args.soak:
        rows = run_soak(args.minutes)
    else:
        rows = run(args.parts, args.images, args.frames, args.rows, args.catalogue)
    if args.json:
        return show(args, rows, "")
    table(
        ("", "value", "unit", "target", "reference"),
        [[r["name"], r["value"], r["unit"], r["target"], r["reference"]] for r in rows],
    )


def compile_(args: argparse.Namespace) -> None:
    from gaussvae_ros.compile import compile_kernels

    compile_kernels()


def demo(args: argparse.Namespace) -> None:
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.demo import demo as run

    say = (lambda line: print(line, file=sys.stderr)) if args.json else print
    _show_replay(args, run(FrameCodec(), args.out, args.seconds, say))


def _quality(args: argparse.Namespace) -> float:
    """The quality that is asked for, a tier of the first releases counted in."""
    if args.tier is None:
        return args.quality
    from gaussvae_ros.tiers import quality_of

    quality = quality_of(args.tier, args.quality)
    log.warning("--tier is no longer used: what you ask for is --quality %g", quality)
    return quality


def _show_replay(args: argparse.Namespace, result: dict) -> None:
    warn(result["problems"])
    if args.json:
        show(args, result, "")
    else:
        replayed(result)
    if result["report_problem"]:
        sys.stdout.flush()
        raise GaussVaeError(f"{result['report_problem']}: there is no report")
