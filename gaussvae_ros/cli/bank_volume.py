"""`gaussvae bank volume`: volumes into a memory file, found there, and out of it."""

import argparse
from pathlib import Path

from gaussvae_ros.bank import MemoryBank, Pose, Volume
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, table
from gaussvae_ros.errors import GaussVaeError, RecordError
from gaussvae_ros.volume_record import open_envelope

POINTS = ".ply"  # how the name of a file ends that gets points


def add_verbs(bank_verbs: argparse._SubParsersAction) -> None:
    """Add its verbs, with their options."""
    about = "volumes into a memory file, found there, and out of it"
    verbs = bank_verbs.add_parser("volume", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    made = options.bank_verb(verbs, "add", add, "store a record of gaussvae volume encode")
    made.add_argument("record", metavar="RECORD")
    made.add_argument("--stamp", type=int, metavar="NS", required=True, help="of the volume, ns")
    made.add_argument("--session", metavar="S", help="its id or name; default: the one begun last")
    made.add_argument(
        "--pose",
        type=float,
        nargs=7,
        metavar=("X", "Y", "Z", "QX", "QY", "QZ", "QW"),
        default=(0, 0, 0, 0, 0, 0, 1),
        help="m and quaternion, where the coordinates of the grid are; default: those of --in",
    )
    made.add_argument(
        "--in", dest="reference", default="map", metavar="FRAME", help="of --pose; default map"
    )
    options.as_json(made)

    made = options.bank_verb(verbs, "list", list_, "volumes, the latest first")
    options.places(made)
    options.as_json(made)

    made = options.bank_verb(verbs, "recall", recall, "a volume, or a region of it, as a file")
    made.add_argument("--id", type=int, metavar="N", help="default: the latest that is asked for")
    options.places(made)
    made.add_argument(
        "--region",
        type=float,
        nargs=6,
        metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
        help="m, lower and upper corner in the coordinate frame of the volume's pose",
    )
    made.add_argument(
        "--values",
        type=float,
        nargs=2,
        metavar=("LEAST", "MOST"),
        help="with .ply: of voxels that are occupied; docs/volume.md has what they are otherwise",
    )
    made.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        required=True,
        help=".npy, .nrrd, .nii, .nii.gz or .raw; or .ply: centres of occupied voxels",
    )
    options.files(made, writes=("out",))
    options.as_json(made)

    made = options.bank_verb(verbs, "remove", remove, "remove volumes")
    made.add_argument("id", type=int, nargs="+", metavar="ID")
    options.as_json(made)


def add(args: argparse.Namespace) -> None:
    """Store a record."""
    data = Path(args.record).read_bytes()
    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:  # which is not to be made
        session = None
        if args.session is not None:
            session = options.session_of(bank, args.session)
        elif sessions := bank.info()["sessions"]:
            session = sessions[-1]["id"]
        pose = Pose(*args.pose, reference=args.reference)
        try:
            number = bank.add_volume(data, stamp_ns=args.stamp, pose=pose, session=session)
        except RecordError as error:
            raise RecordError(f"{args.record}: {error}") from error
    show(args, {"id": number, "bytes": len(data)}, f"{args.bank}: volume {number} is stored")


def list_(args: argparse.Namespace) -> None:
    """Say which volumes there are."""
    with MemoryBank(args.bank, readonly=True) as bank:
        found = [facts(volume) for volume in bank.find_volumes(**options.given(args, bank))]
    if args.json:
        return show(args, found, "")
    columns = ("id", "stamp (ns)", "session", "voxels", "voxel (m)", "bytes", "x (m)", "y (m)")
    rows = []
    for v in found:
        voxels = "x".join(map(str, v["shape"]))
        about = str(v["id"]), str(v["stamp_ns"]), v["session"], voxels, v["voxel_size"]
        rows.append([*about, v["bytes"], *v["pose"][:3], v["reference"]])
    table((*columns, "z (m)", "frame"), rows)


def recall(args: argparse.Namespace) -> None:
    """Write a volume, or a part of it."""
    import numpy as np

    from gaussvae_ros.volume.codec import VolumeCodec
    from gaussvae_ros.volume.region import cut, occupied

    with MemoryBank(args.bank, readonly=True) as bank:
        given = options.given(args, bank)
        if args.id is not None and given:
            raise GaussVaeError("a volume is asked for by its id or by place and time, not by both")
        if args.id is not None:
            volume = bank.volume(args.id)
        elif not (found := bank.find_volumes(**{**given, "limit": 1})):
            raise GaussVaeError(f"no such volume in {args.bank}")
        else:
            volume = found[0]
    box = (None, None) if args.region is None else np.reshape(args.region, (2, 3))
    region = cut(VolumeCodec(), volume.data, volume.pose.array, *box)
    if region is None:
        raise GaussVaeError(f"the region holds nothing of volume {volume.id}")
    figures = {**facts(volume), "region": list(region.array.shape), "file": args.out}
    if Path(args.out).suffix == POINTS:
        points = occupied(region, args.values, *box)
        _write_points(args.out, points)
        what = f"{len(points):,} points"
        figures["points"] = len(points)
    else:
        if args.values:
            raise GaussVaeError(f"--values says which voxels become points, of a {POINTS} file")
        _write_grid(args.out, region)
        what = f"{'x'.join(map(str, region.array.shape))} voxels"
    show(args, figures, f"{args.out}: {what} of volume {volume.id}")


def remove(args: argparse.Namespace) -> None:
    """Remove volumes."""
    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:
        bank.remove_volumes(args.id)
        left = len(bank.volume_ids())
    figures = {"removed": len(set(args.id)), "volumes": left}
    show(args, figures, f"{args.bank}: {len(set(args.id))} volumes removed, {left} left")


def facts(volume: Volume) -> dict:
    """What is known of a volume, ready for JSON."""
    record = open_envelope(volume.data)
    return {
        "id": volume.id,
        "stamp_ns": volume.stamp_ns,
        "session": volume.session,
        "shape": list(record.shape),
        "voxel_size": record.voxel_size,
        "bytes": len(volume.data),
        "pose": [*volume.pose.position, *volume.pose.orientation],
        "reference": volume.pose.reference,
        "map_id": volume.map_id or None,
    }


def _write_grid(path: str, region: object) -> None:
    from gaussvae_ros.cli.show import warn
    from gaussvae_ros.volume.files import VolumeFile, write_volume

    origin = tuple(region.pose[:3].tolist())
    write_volume(path, VolumeFile(region.array, region.voxel_size, origin))
    if abs(region.pose[6]) < 1 - 1e-9:
        warn(["the grid is turned, which its file does not say: its corner is in place alone"])


def _write_points(path: str, points: object) -> None:
    """A PLY file of points [N, 4] float32: x y z in m and the voxel's value."""
    from gaussvae_ros.files import write_file

    names = "".join(f"property float {name}\n" for name in ("x", "y", "z", "value"))
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{names}end_header\n"
    )
    write_file(path, head.encode() + points.astype("<f4").tobytes())
