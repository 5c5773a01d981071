"""`gaussvae bank export`: frames as files of other programs."""

import argparse

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import options
from gaussvae_ros.cli.bank_copies import REMEMBER
from gaussvae_ros.cli.show import show, warn
from gaussvae_ros.exports import FORMATS, PICTURES, format_of


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "frames as pictures, with a trajectory, as a bag or as a dataset"
    made = options.bank_verb(bank_verbs, "export", export, about)
    made.add_argument(
        "-o", "--out", metavar="DIR", required=True, help="the folder to write, which is made"
    )
    made.add_argument(
        "--format",
        choices=FORMATS,
        default="folder",
        help="what is written; pictures with an index.csv unless said otherwise",
    )
    made.add_argument(
        "--pictures", choices=PICTURES, help="of the pictures; default png, in a bag jpeg"
    )
    options.conditions(made)
    options.file_mode(made)
    options.as_json(made)


def export(args: argparse.Namespace) -> int:
    """Write the folder; 1 if frames were left out that are damaged."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.exports.writing import export

    with MemoryBank(args.bank, readonly=True) as bank:
        given = options.given(args, bank)
        form, codec = format_of(args.format), FrameCodec(models=[bank], remember=REMEMBER)
        total = min(len(bank), args.limit or len(bank)) if set(given) <= {"limit"} else None
        bar = tqdm(total=total, unit="frame", desc="export", delay=1, disable=None)
        how = {"pictures": args.pictures, "file_mode": args.file_mode, "progress": bar.update}
        volumes = options.volumes_given(given, bank)
        with bar:
            done = export(bank, args.out, form, codec, **how, volumes=volumes, **given)
    problems = list(done.problems)
    if done.without_pose:
        problems.append(f"left out, since they have no pose: {done.without_pose} frames")
    warn(problems)
    figures = {
        "frames": done.frames,
        "volumes": done.volumes,
        "folder": args.out,
        "without_pose": done.without_pose,
        "damaged": done.damaged,
    }
    words = f" and {done.volumes} volumes" if done.volumes else ""
    show(args, figures, f"{done.frames} frames{words} in {args.out}")
    return 1 if done.damaged else 0
