"""`gaussvae train classify`: a graph network on splats beside a ResNet-8 on pixels."""

import argparse

from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, table


def add_verb(train_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "what small pictures show, told from their splats and, beside that, from their pixels"
    made = options.verb(train_verbs, "classify", classify, about)
    made.add_argument(
        "data",
        metavar="DATA",
        help="MedMNIST archive (.npz), folder with one, or folder with train/CLASS and test/CLASS",
    )
    made.add_argument(
        "--out", metavar="DIR", required=True, help="folder for fits, both models and checkpoints"
    )
    made.add_argument(
        "--steps", metavar="N", type=int, default=1000, help="of each training (default 1000)"
    )
    made.add_argument(
        "--quality",
        metavar="Q",
        type=float,
        default=75,
        help="of the records, 0 to 100; 75, the default, has 256 splats",
    )
    made.add_argument(
        "--side",
        metavar="PX",
        type=int,
        default=64,
        help="longer side that larger pictures are shrunk to (default 64)",
    )
    made.add_argument(
        "--limit", metavar="N", type=int, help="at most so many pictures of each part; default: all"
    )
    made.add_argument(
        "--mirror",
        action="store_true",
        help="learn from mirrored pictures, too: where left and right mean nothing",
    )
    made.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of weights and order (default 0)"
    )
    made.add_argument("--jobs", metavar="N", type=int, help="processes; default: one for each core")
    made.add_argument("--resume", action="store_true", help="go on with the training in --out")
    options.as_json(made)


def classify(args: argparse.Namespace) -> None:
    from gaussvae_ros.training.classify import Settings, train_classify

    asked = {name: getattr(args, name) for name in Settings.__dataclass_fields__}
    result = train_classify(args.data, args.out, Settings(**asked), args.jobs, args.resume)
    if not args.json:
        columns = ("network", "parameters", "auc", "accuracy", "seconds", "ms_a_picture")
        heads = (*columns[:-1], "ms a picture")
        table(heads, [[row[name] for name in columns] for row in result["networks"]])
    pictures = result["pictures"]
    about = f"{pictures['train']} pictures to train with, {pictures['test']} to test with"
    records = f"{result['splats']} splats and {result['record_bytes']:.0f} bytes a record"
    ended = "" if result["stopped"] == "steps" else "; stopped, go on with --resume"
    show(args, result, f"{args.out}: {about}, {result['classes']} classes, {records}{ended}")
