"""`gaussvae train places`: how places are described."""

import argparse

from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show


def add_verb(train_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    made = options.verb(
        train_verbs, "places", train_places, "how places are described, for likeness and loops"
    )
    made.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="folder of images, image, video, bag, or sim"
    )
    made.add_argument("--out", metavar="FILE", required=True, help="the model file to write")
    options.files(made, reads=("sources",), writes=("out",))
    made.add_argument(
        "--views", metavar="N", type=int, default=6, help="of each picture (default 6)"
    )
    made.add_argument("--seed", metavar="N", type=int, default=0, help="of views (default 0)")
    options.as_json(made)


def train_places(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.training.places import Settings
    from gaussvae_ros.training.places import train_places as run

    def shown(files: list) -> tqdm:
        return tqdm(files, unit="picture", desc="describe", disable=None)

    card = run(args.sources, args.out, Settings(args.views, args.seed), shown)
    pictures, took = card["pictures"]["train"], f"{card['seconds']:.0f} s"
    show(args, card, f"{args.out}: learned from {pictures} pictures: {took}")
