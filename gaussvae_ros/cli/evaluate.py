"""The verb `gaussvae evaluate`: images, videos, and models, measured beside peers."""

import argparse
import logging
from pathlib import Path

from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, table, warn
from gaussvae_ros.errors import GaussVaeError

log = logging.getLogger(__name__)


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verb with its options."""
    made = options.verb(
        all_verbs,
        "evaluate",
        evaluate,
        "rate and distortion on images or videos, beside JPEG, WebP, AV1, HEVC and VVC",
    )
    made.add_argument(
        "images",
        metavar="IMAGES",
        nargs="+",
        help="image files, and folders of them; with --frames videos, too; with --video sequences",
    )
    made.add_argument(
        "--out", metavar="DIR", required=True, help="folder for report.html, figures and tables"
    )
    made.add_argument(
        "--video",
        action="store_true",
        help="IMAGES are sequences: folders of images, videos and bags; peers code them as videos",
    )
    made.add_argument(
        "--recognition",
        action="store_true",
        help="IMAGES are folders of visits, each a folder of pictures, of which those equally far "
        "along show one place: whether it is found again by what codecs leave of the first visit",
    )
    made.add_argument(
        "--within",
        metavar="N",
        type=int,
        help="of --recognition: pictures from the right one that still show its place, default 2",
    )
    made.add_argument(
        "--models",
        metavar="MODEL",
        nargs="+",
        help="compare these models, names or files, not the codec's settings",
    )
    made.add_argument(
        "--volumes",
        action="store_true",
        help="IMAGES are files of volumes, measured beside a 3D DCT, SZ3, zfp and zstd",
    )
    made.add_argument(
        "--weights",
        metavar="FILE",
        nargs="+",
        default=(),
        help="of --volumes: networks of Neural Volume Compression to measure, too",
    )
    options.tier(made)
    made.add_argument(
        "--frames",
        metavar="N",
        type=int,
        help="640x480 px frames, N spread over each folder or video; default: all, as they are; "
        "with --video the first N of each sequence, default 60",
    )
    made.add_argument(
        "--every", metavar="K", type=int, help="of --video: take each K-th frame, default 1"
    )
    made.add_argument(
        "--topic", metavar="T", help="of --video: images of a bag with several image topics"
    )
    made.add_argument(
        "--qualities",
        metavar="Q",
        nargs="+",
        type=float,
        help="of our curve, 0 to 100; default: ten from 10 to 85, with --video from 0 to 80",
    )
    made.add_argument(
        "--peers",
        metavar="CODEC",
        nargs="*",
        help="of jpeg, webp, av1, hevc and vvc; with --recognition of jpeg, webp and avif; "
        "with --video of x265-10, x265, svt-av1-10, svt-av1 "
        "and vvenc-16; default: all that are installed",
    )
    options.as_json(made)


def evaluate(args: argparse.Namespace) -> None:
    if args.tier:
        log.warning("--tier is no longer used: there is one scale of quality")
    if args.video and args.models:
        raise GaussVaeError("--video and --models exclude each other")
    if not args.video and (args.every is not None or args.topic is not None):
        raise GaussVaeError("--every and --topic belong to --video")
    if args.recognition and (args.video or args.models):
        raise GaussVaeError("--recognition excludes --video and --models")
    if args.within is not None and not args.recognition:
        raise GaussVaeError("--within belongs to --recognition")
    if args.weights and not args.volumes:
        raise GaussVaeError("--weights belongs to --volumes")
    if args.volumes:
        if args.video or args.models or args.recognition or args.frames or args.peers is not None:
            raise GaussVaeError(
                "--volumes excludes --video, --models, --recognition, --frames and --peers"
            )
        return _volumes(args)
    if args.models:
        return _models(args)
    if args.recognition:
        return _recognition(args)
    summary, found = _video(args) if args.video else _images(args)
    from gaussvae_ros.evaluation.plots import NAMES

    lacking = summary["missing"].items()
    warn([f"not compared with {NAMES.get(c, c)}: {why}" for c, why in lacking])
    if not args.json:
        for one in found:
            print(f"\n{one.caption}")
            table(one.columns, one.rows)
    show(args, summary, f"\nReport: {Path(args.out) / 'report.html'}")


def _images(args: argparse.Namespace) -> tuple[dict, list]:
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.evaluation.evaluate import PEERS, QUALITIES
    from gaussvae_ros.evaluation.evaluate import evaluate as run
    from gaussvae_ros.evaluation.images import image_sets
    from gaussvae_ros.evaluation.summary import tables

    image_sets(args.images)  # before the codec loads
    summary = run(
        args.images,
        args.out,
        FrameCodec(),
        frames=args.frames,
        qualities=args.qualities or QUALITIES,
        codecs=PEERS if args.peers is None else args.peers,
    )
    return summary, [t for one in summary["sets"] for t in tables(one)]


def _video(args: argparse.Namespace) -> tuple[dict, list]:
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.evaluation.video import FRAMES, PEERS, QUALITIES, evaluate_video, video_tables

    summary = evaluate_video(
        args.images,
        args.out,
        FrameCodec(),
        frames=FRAMES if args.frames is None else args.frames,
        every=1 if args.every is None else args.every,
        topic=args.topic,
        qualities=args.qualities or QUALITIES,
        codecs=PEERS if args.peers is None else args.peers,
    )
    return summary, video_tables(summary)


def _recognition(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.evaluation import recognition

    settings = recognition.Settings(
        qualities=args.qualities or recognition.QUALITIES,
        codecs=recognition.CODECS if args.peers is None else args.peers,
        frames=args.frames,
        within=recognition.Settings.within if args.within is None else args.within,
    )
    result = recognition.evaluate_recognition(
        args.images,
        args.out,
        FrameCodec(device="cpu"),
        settings,
        lambda qualities: tqdm(qualities, unit="quality", disable=None),
    )
    if not args.json:
        for one in recognition.recognition_tables(result):
            print(f"\n{one.caption}")
            table(one.columns, one.rows)
    show(args, result, f"\nFigures: {Path(args.out) / 'recognition.json'}")


def _volumes(args: argparse.Namespace) -> None:
    from gaussvae_ros.evaluation.volumes import QUALITIES, evaluate_volumes

    result = evaluate_volumes(
        args.images, args.out, args.weights, qualities=args.qualities or QUALITIES
    )
    warn([f"not compared with {name}: {why}" for name, why in result["missing"].items()])
    if not args.json:
        columns = list(result["volumes"][0])
        table(columns, [[row.get(name) for name in columns] for row in result["volumes"]])
    show(args, result, f"\nPoints, drawings and slices: {args.out}")


def _models(args: argparse.Namespace) -> None:
    from gaussvae_ros.evaluation.peers import CODECS
    from gaussvae_ros.training.comparison import ERRORS, compare

    result = compare(args.models, args.images, args.out)
    if not args.json:
        measures = ("psnr", "ssim", "bytes", "counted", "encode_ms", "decode_ms")
        columns = (
            "",
            *ERRORS,
            "PSNR (dB)",
            "SSIM",
            "bytes",
            "what they are",
            "encode (ms)",
            "decode (ms)",
        )
        rows = [[row[name] for name in ("name", *ERRORS, *measures)] for row in result["rows"]]
        for row, cells in zip(result["rows"], rows):
            above = [(row[f"psnr_above_{codec}"], row[f"{codec}_fitted"]) for codec in CODECS]
            cells += [None if gain is None else f"{gain:+.2f} ({fitted})" for gain, fitted in above]
        table((*columns, *(f"dB above {codec} (of so many)" for codec in CODECS)), rows)
    floor = f"{result['images']} images; 512 DCT coefficients: {result['floor']['psnr']:.2f} dB"
    show(args, result, f"{floor}\nFigures, plot and pictures: {args.out}")
