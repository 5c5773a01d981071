"""`gaussvae bank embed`: vectors of an encoder for the frames of a memory that have none by it."""

import argparse

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, warn
from gaussvae_ros.errors import BankGone, GaussVaeError


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "vectors of an encoder of images for frames as they are recalled"
    made = options.bank_verb(bank_verbs, "embed", embed, about)
    options.encoder(made, "file of the encoder")
    options.conditions(made)
    options.as_json(made)


def embed(args: argparse.Namespace) -> int:
    """Make them; returns 1 if frames could not be recalled."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.looking.encoder import Encoder

    if args.encoder is None:
        raise GaussVaeError("--encoder is needed: a YAML file, see docs/words.md")
    encoder, made, problems = Encoder(args.encoder), 0, []
    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:  # which is not to be made
        codec = FrameCodec(device="cpu", models=[bank])
        given = options.given(args, bank)
        ids = bank.ids(**{k: v for k, v in given.items() if k != "limit"})
        due = [i for i in ids[: given.get("limit")] if encoder.name not in bank.vectors(i)]
        for frame_id in tqdm(due, unit="frame", desc="embed", delay=1, disable=None):
            try:
                picture = codec.decode(bank.get(frame_id).records)
            except BankGone:
                raise
            except GaussVaeError as error:
                problems.append(f"frame {frame_id}: {error}")
                continue
            bank.set_vector(frame_id, encoder.name, encoder.of_image(picture))
            made += 1
    warn(problems)
    figures = {"encoder": encoder.name, "frames": len(ids), "made": made, "failed": len(problems)}
    show(args, figures, f"{args.bank}: {made} vectors by {encoder.name}")
    return 1 if problems else 0
