"""`gaussvae bank describe`: descriptors of places, made of the records of a memory file."""

import argparse

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, warn


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "new descriptors, from their records, for frames that have none or an earlier kind"
    options.as_json(options.bank_verb(bank_verbs, "describe", describe, about))


def describe(args: argparse.Namespace) -> None:
    """Make them, and say how many."""
    from tqdm import tqdm

    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.maintenance.redescribing import describe_frames, to_describe

    with MemoryBank(checked_path(args.bank, readonly=True)) as bank:  # which is not to be made
        ids = to_describe(bank)
        with tqdm(total=len(ids), unit="frame", desc="describe", delay=1, disable=None) as bar:
            failed = describe_frames(bank, FrameCodec(models=[bank]), ids, bar.update)
        frames = len(bank)
    warn([f"frame {frame_id} is not described: {why}" for frame_id, why in failed])
    done = len(ids) - len(failed)
    figures = {"frames": frames, "described": done, "failed": [i for i, _ in failed]}
    show(args, figures, f"{args.bank}: {done} of {frames} frames described anew")
