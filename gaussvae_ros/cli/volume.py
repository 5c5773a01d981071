"""The verbs of `gaussvae volume`: volumes to records and back."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, table
from gaussvae_ros.errors import RecordError, VolumeError


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs of `gaussvae volume`, with their options."""
    about = "volumes of voxels to records and back"
    verbs = all_verbs.add_parser("volume", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    made = options.verb(verbs, "encode", encode, "a file of a volume to a record file")
    made.add_argument("volume", metavar="VOLUME", help=".npy, .nrrd, .nii, .nii.gz or .raw")
    made.add_argument("-o", "--out", metavar="RECORD", required=True)
    options.files(made, reads=("volume",), writes=("out",))
    made.add_argument("--quality", type=float, default=50, metavar="Q", help="0 to 100; default 50")
    made.add_argument(
        "--shape", type=options.numbers("x", 3), metavar="ZxYxX", help="voxels, of .raw"
    )
    made.add_argument("--dtype", default="uint8", metavar="TYPE", help="of .raw; default uint8")
    made.add_argument(
        "--voxel-size", type=float, metavar="M", help="m, instead of what the file says"
    )
    made.add_argument(
        "--origin", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="m, of the first voxel's outer corner, instead of what the file says",
    )  # fmt: skip
    options.as_json(made)

    made = options.verb(verbs, "decode", decode, "a record file to a file of a volume")
    made.add_argument("record", metavar="RECORD")
    made.add_argument(
        "-o", "--out", metavar="VOLUME", required=True, help=".npy, .nrrd, .nii, .nii.gz or .raw"
    )
    options.files(made, reads=("record",), writes=("out",))
    made.add_argument(
        "--roi", type=options.numbers(",", 6), metavar="Z,Y,X,D,H,W",
        help="only this part, in voxels: the first one, and how many",
    )  # fmt: skip
    options.as_json(made)

    made = options.verb(verbs, "info", info, "what a record of a volume says of it")
    made.add_argument("record", metavar="RECORD")
    options.as_json(made)


def encode(args: argparse.Namespace) -> None:
    from gaussvae_ros.files import write_file
    from gaussvae_ros.volume.codec import VolumeCodec
    from gaussvae_ros.volume.files import read_volume

    volume = read_volume(args.volume, args.shape, args.dtype)
    size = volume.voxel_size if args.voxel_size is None else args.voxel_size
    origin = volume.origin if args.origin is None else tuple(args.origin)
    begun = time.perf_counter()
    with _about(args.volume):
        data = VolumeCodec().encode(volume.array, args.quality, voxel_size=size, origin=origin)
    taken = time.perf_counter() - begun
    write_file(args.out, data)
    factor = volume.array.nbytes / len(data)
    figures = {"record": args.out, "bytes": len(data), "factor": factor, "encode_s": taken}
    text = f"{args.out}: {len(data):,} bytes, {factor:.1f} times fewer, encoded in {taken:.2f} s"
    show(args, figures, text)


def decode(args: argparse.Namespace) -> None:
    from gaussvae_ros.volume.codec import VolumeCodec
    from gaussvae_ros.volume.files import VolumeFile, write_volume

    record, data = _opened(args.record)
    begun = time.perf_counter()
    with _about(args.record):
        array = VolumeCodec().decode(data, args.roi)
    taken = time.perf_counter() - begun
    z, y, x = args.roi[:3] if args.roi else (0, 0, 0)
    origin = tuple(o + n * record.voxel_size for o, n in zip(record.origin, (x, y, z)))
    write_volume(args.out, VolumeFile(array, record.voxel_size, origin))
    shape = "x".join(map(str, array.shape))
    figures = {"volume": args.out, "shape": list(array.shape), "decode_s": taken}
    show(args, figures, f"{args.out}: {shape} voxels, decoded in {taken:.2f} s")


def info(args: argparse.Namespace) -> None:
    record, data = _opened(args.record)
    figures = {
        "kind": record.kind,
        "type": str(record.dtype),
        "shape": list(record.shape),
        "bytes": len(data),
        "voxel_size": record.voxel_size,
        "origin": list(record.origin),
        "unknown": record.unknown,
        "model": record.model.hex(),
    }
    if record.kind == "labels":
        figures["labels"] = record.labels.tolist()
    else:
        figures |= {"quality": record.quality, "range": [record.low, record.high]}
    if not args.json:
        table(("", ""), [[name, str(value)] for name, value in figures.items()])
    show(args, figures, "")


def _opened(path: str) -> tuple:
    from gaussvae_ros.volume.format import unpack

    data = Path(path).read_bytes()
    with _about(path):
        return unpack(data), data


@contextmanager
def _about(path: str) -> Iterator[None]:
    """Errors name the file that they are about."""
    try:
        yield
    except (RecordError, VolumeError) as error:
        raise type(error)(f"{path}: {error}") from error
    except MemoryError as error:
        why = "does not fit into memory; --roi decodes a part of a record"
        raise VolumeError(f"{path}: {why}") from error
