"""`gaussvae bank repair`: what is sound of a damaged memory file, in its place."""

import argparse

from gaussvae_ros.bank.care.repairing import repair as repair_file
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "set damaged rows aside; exit code 1 if frames are lost with them"
    options.as_json(options.bank_verb(bank_verbs, "repair", repair, about))


def repair(args: argparse.Namespace) -> int:
    """Put a file with all that is sound in the place of a damaged one."""
    from tqdm import tqdm

    with tqdm(unit="row", desc="repair", delay=1, disable=None) as bar:
        done = repair_file(args.bank, bar.update)
    figures = {
        "frames": done.frames,
        "lost": list(done.lost.items()),
        "others": done.others,
        "old": done.old and str(done.old),
    }
    if done.old is None:
        show(args, figures, f"{done.frames} frames, no damage: the file is as it was")
        return 0
    lines = [
        *(f"frame {frame_id} is lost: {why}" for frame_id, why in done.lost.items()),
        *(f"file: {problem}" for problem in done.others),
        f"{done.frames} frames are sound, {len(done.lost)} lost; the damaged file is {done.old}",
    ]
    show(args, figures, "\n".join(lines))
    return 1 if done.lost else 0
