"""The verbs of `gaussvae train`: the prior, samples, models."""

import argparse
from pathlib import Path

from gaussvae_ros.cli import options
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
        "images", metavar="IMAGES", nargs="+", help="image files, and folders of them"
    )
    made.add_argument("--out", metavar="FILE", required=True, help="the JSON file to write")
    made.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of fits and training (default 0)"
    )
    options.as_json(made)

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
    made.add_argument(
        "--crops", metavar="K", type=int, default=8, help="random crops of each picture (default 8)"
    )
    made.add_argument(
        "--every",
        metavar="N",
        type=int,
        help="one frame in N of videos and bags; default: two a second",
    )
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

    made = options.verb(
        train_verbs,
        "latents",
        train_latents,
        "the probabilities that latent records are coded with",
    )
    options.samples(made)
    made.add_argument(
        "--model", metavar="MODEL", required=True, help="model file or name, which is not changed"
    )
    made.add_argument("--out", metavar="FILE", required=True, help="the model file to write")
    made.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of pictures and training (default 0)"
    )
    options.as_json(made)


def train_prior(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from gaussvae_ros.evaluation.images import find_images

    find_images(args.images)  # before the long work, as is the next line
    _check(args)
    from gaussvae_ros.training.splats_prior import train_prior as run

    card = run(
        args.images,
        args.out,
        args.seed,
        lambda files: tqdm(files, unit="image", desc="fit", disable=None),
    )
    bits = card["bits_per_splat"]
    _show_bits(args, bits)
    learned = card["images"] - bits["images"]
    show(
        args,
        card,
        f"{args.out}: learned from {learned} images, measured on {bits['images']} held out",
    )


def train_prepare(args: argparse.Namespace) -> None:
    from gaussvae_ros.training.prepare import prepare as run

    manifest = run(args.sources, args.out, args.crops, args.every, args.size, args.seed, args.jobs)
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


def train_latents(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    _check(args)
    from gaussvae_ros.training.latent_prior import train_latents as run

    card = run(
        args.data,
        args.model,
        args.out,
        args.seed,
        lambda c: tqdm(c, unit="chunk", desc="fit", disable=None),
    )
    _show_bits(args, card["bits_per_splat"])
    show(args, card, f"{args.out}: learned from {card['splats']} splats in {card['seconds']:.0f} s")


def _check(args: argparse.Namespace) -> None:
    """GaussVaeError unless there is a folder for the result and a seed, before the long work."""
    if not Path(args.out).absolute().parent.is_dir():
        raise GaussVaeError(f"{args.out}: its folder does not exist")
    if args.seed < 0:
        raise GaussVaeError(f"--seed must be at least 0, not {args.seed}")


def _show_bits(args: argparse.Namespace, bits: dict) -> None:
    if not args.json:
        rows = [[part, bits["before"][part], bits["after"][part]] for part in bits["after"]]
        table(("bits per splat", "before", "after"), rows)
