"""The verb `gaussvae bank timeline`: a memory file as one HTML page."""

import argparse
import os
from itertools import islice

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "the frames along their route and time, as one HTML page"
    made = options.bank_verb(bank_verbs, "timeline", timeline, about)
    made.add_argument("-o", "--out", metavar="FILE", required=True, help="the HTML file to write")
    options.files(made, reads=("map",), writes=("out",))
    made.add_argument(
        "--map", metavar="YAML", help="map of map_server, drawn under the route: a YAML file"
    )
    made.add_argument(
        "--megabytes",
        metavar="M",
        type=float,
        default=36.0,
        help="what the page takes at most: pictures get smaller and fewer to fit (default 36)",
    )
    options.conditions(made)
    options.as_json(made)


def timeline(args: argparse.Namespace) -> None:
    """Write the page, which is there once it is whole."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.timeline import write_timeline
    from gaussvae_ros.timeline.floor_map import read_floor_map

    floor_map = read_floor_map(args.map) if args.map else None
    with MemoryBank(args.bank, readonly=True) as bank:
        given = options.given(args, bank)
        limit = given.pop("limit", None)
        ids = list(islice(bank.ids(**given), limit)) if given or limit else None
        codec = FrameCodec(models=[bank])
        done = write_timeline(
            args.out,
            bank,
            codec,
            ids,
            floor_map,
            args.megabytes,
            os.cpu_count() or 1,
            lambda ids: tqdm(ids, unit="frame", desc="timeline", delay=1, disable=None),
        )
    every = f" of each {done['step']}th frame" if done["step"] > 1 else ""
    pictures = f"{done['pictures']} pictures of {done['picture_px']} px{every}"
    if done["damaged"]:
        pictures += f", {done['damaged']} left out as damaged"
    size = f"{done['bytes'] / 1e6:.1f} MB"
    show(args, done, f"{args.out}: {done['frames']} frames, {pictures}, {size}")
