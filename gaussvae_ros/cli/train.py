"""The verbs of `gaussvae train`: the priors, samples, models."""

import argparse
from pathlib import Path

from gaussvae_ros.cli import options, train_classify, train_places, train_volumes
from gaussvae_ros.cli.show import show, table
from gaussvae_ros.errors import GaussVaeError


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add the verbs of `gaussvae train`, with their options."""
    about = "train what the codec ships with"
    train_verbs = all_verbs.add_parser("train", help=about, description=about).add_subparsers(
        required=True, metavar="VERB"
    )
    made = options.verb(
        train_verbs, "prior", train_prior, "the probabilities that records are coded with"
    )
    made.add_argument(
        "--model",
        metavar="MODEL",
        help="name or file of the model that weighs bits in fits; default: none does",
    )
    made.add_argument(
        "--grids", metavar="N", type=int, default=6000, help="fits to learn from (default 6000)"
    )
    _of_a_prior(made, "fits", 8000)

    made = options.verb(
        train_verbs, "changes", train_changes, "the probabilities that predicted records use"
    )
    made.add_argument(
        "--model",
        metavar="MODEL",
        default="open",
        help="name or file of the model that references are encoded with (default open)",
    )
    made.add_argument(
        "--frames", metavar="N", type=int, default=2400, help="to learn from (default 2400)"
    )
    _of_a_prior(made, "frames", 4000)

    made = options.verb(
        train_verbs, "prepare", train_prepare, "pictures to samples that a model learns from"
    )
    made.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="folder of images, image, video, bag, or sim"
    )
    made.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder for the samples; a stopped run goes on there",
    )
    crops(made, "one frame in N of videos and bags")
    made.add_argument("--jobs", metavar="N", type=int, help="processes; default: one for each core")
    options.as_json(made)

    made = options.verb(
        train_verbs, "run", train_run, "a model, as a config says, on prepared samples"
    )
    made.add_argument("config", metavar="CONFIG", help="YAML file; config/ has one for each model")
    options.samples(made)
    made.add_argument(
        "--out", metavar="DIR", required=True, help="folder for model, checkpoint and curves"
    )
    made.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    options.as_json(made)

    made = options.verb(
        train_verbs, "search", train_search, "the best values of a config, by short trainings"
    )
    made.add_argument("config", metavar="CONFIG", help="YAML file with a section search")
    options.samples(made)
    made.add_argument(
        "--storage",
        metavar="URL",
        required=True,
        help="database, or a file's path, that processes share",
    )
    made.add_argument(
        "--trials", metavar="N", type=int, required=True, help="trainings that this process does"
    )
    options.as_json(made)

    for module in (train_places, train_volumes, train_classify):
        module.add_verb(train_verbs)


def crops(made: argparse.ArgumentParser, every: str) -> None:
    """How pictures become samples."""
    made.add_argument(
        "--crops", metavar="K", type=int, default=8, help="random crops of each picture (default 8)"
    )
    made.add_argument("--every", metavar="N", type=int, help=f"{every}; default: two a second")
    made.add_argument(
        "--size",
        metavar="WxH",
        type=options.numbers("x", 2),
        default=(320, 240),
        help="px of a crop (default 320x240)",
    )
    made.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of crops and split (default 0)"
    )


def _of_a_prior(made: argparse.ArgumentParser, measured: str, steps: int) -> None:
    """What the trainings of both priors take."""
    made.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="folder of images, image, video, bag, or sim"
    )
    made.add_argument("--out", metavar="FILE", required=True, help="the model file to write")
    options.files(made, reads=("sources", "model"), writes=("out",))
    made.add_argument(
        "--held-out",
        metavar="N",
        type=int,
        default=128,
        help=f"{measured} to measure (default 128)",
    )
    made.add_argument(
        "--steps",
        metavar="N",
        type=int,
        default=steps,
        help=f"of each network (default {steps})",
    )
    made.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of pictures and training (default 0)"
    )
    options.as_json(made)


def train_prior(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.training.prior import Settings
    from gaussvae_ros.training.prior import train_prior as run

    card = run(
        args.sources,
        args.out,
        Settings(args.grids, args.held_out, args.steps, args.seed),
        args.model,
        lambda chunks: tqdm(chunks, unit="chunk", desc="fit", disable=None),
    )
    if not args.json:
        table(("part of a record", "bits per splat"), list(card["bits_per_splat"].items()))
    pictures, took = card["pictures"], f"{card['splats']} splats, {card['seconds']:.0f} s"
    learned = f"learned from {pictures['train']} pictures, measured on {pictures['valid']} others"
    show(args, card, f"{args.out}: {learned}: {took}")


def train_changes(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.training.changes import Settings
    from gaussvae_ros.training.changes import train_changes as run

    card = run(
        args.sources,
        args.out,
        Settings(args.frames, args.held_out, args.steps, args.seed),
        args.model,
        lambda chunks: tqdm(chunks, unit="chunk", desc="predict", disable=None),
    )
    if not args.json:
        table(("part of a record", "bits per frame"), list(card["bits_per_frame"].items()))
    learned = f"learned from {args.frames} predictions, measured on {args.held_out} others"
    show(args, card, f"{args.out}: {learned}: {card['seconds']:.0f} s")


def train_prepare(args: argparse.Namespace) -> None:
    from gaussvae_ros.training.prepare import prepare as run

    how = args.crops, args.every, args.size, args.seed, args.jobs
    show_samples(args, run(args.sources, args.out, *how))


def show_samples(args: argparse.Namespace, manifest: dict) -> None:
    """Print what samples were made."""
    if not args.json:
        columns = ("source", "kind", "pictures", "crops", "skipped", "licence")
        table(columns, [[s["given"], *(s[c] for c in columns[1:])] for s in manifest["sources"]])
    parts = manifest["parts"]
    samples = (
        f"{parts['train']['samples']} samples to train with,"
        f" {parts['valid']['samples']} to validate with"
    )
    show(args, manifest, f"{args.out}: {samples}")


def train_run(args: argparse.Namespace) -> None:
    from gaussvae_ros.training.config import load_config

    config = load_config(args.config)  # before torch loads
    from gaussvae_ros.training.loop import train as run

    result = run(config, args.data, args.out, args.resume)
    if result is None:  # a process of torchrun that does not write
        return
    row = result["best"]
    if not args.json:
        names = [name for name in row if name.startswith("valid/")]
        rows = [[name.removeprefix("valid/"), row[name], result["last"][name]] for name in names]
        table(
            ("in validation", f"best, step {row['step']}", f"last, step {result['last']['step']}"),
            rows,
        )
    why = {
        "steps": "done",
        "patience": "ended early, it no longer improves",
        "signal": "stopped, go on with --resume",
    }
    show(
        args,
        result,
        f"{args.out}: {result['step']} steps in {result['seconds']:.0f} s,"
        f" {why[result['stopped']]}",
    )


def train_search(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.training.config import dump_config, load_config

    config = load_config(args.config)
    if args.trials < 1:
        raise GaussVaeError(f"--trials must be at least 1, not {args.trials}")
    from gaussvae_ros.training.search import search as run

    study, bar = (
        Path(args.config).stem,
        lambda trials: tqdm(trials, unit="trial", desc="search", disable=None),
    )
    result = run(config, args.data, args.storage, study, args.trials, bar)
    states = ", ".join(f"{count} {state}" for state, count in result["trials"].items())
    about = f"# {study}: {states}"
    if result["values"]:
        figure = f"{result['figure']} {result['value']:.5g}"
        about += f"; best is trial {result['number']}, {figure} in validation"
    show(args, result, f"{about}\n{dump_config(result['values'] or {}).strip()}")
