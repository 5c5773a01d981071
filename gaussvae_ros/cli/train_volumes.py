"""`gaussvae train volumes`: the model that volumes are coded with."""

import argparse

from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show


def add_verb(train_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    made = options.verb(
        train_verbs, "volumes", train_volumes, "the model that volumes are coded with"
    )
    made.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="volume files, each learned from in its first half, or sim",
    )
    made.add_argument("--out", metavar="FILE", required=True, help="the model file to write")
    options.files(made, reads=("sources",), writes=("out",))
    made.add_argument(
        "--rooms",
        metavar="N",
        type=int,
        default=6,
        help="of sim: simulated volumes of each kind (default 6)",
    )
    made.add_argument(
        "--steps", metavar="N", type=int, default=12000, help="of the network (default 12000)"
    )
    made.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of volumes and training (default 0)"
    )
    options.as_json(made)


def train_volumes(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.training.volumes import Settings
    from gaussvae_ros.training.volumes import train_volumes as run

    card = run(
        args.sources,
        args.out,
        Settings(args.rooms, args.steps, args.seed),
        lambda steps: tqdm(steps, unit="step", desc="network", disable=None),
    )
    left = f"the network leaves {card['curve'][-1][1]:.3f} of the linear part's error"
    show(args, card, f"{args.out}: {left}: {card['seconds']:.0f} s")
