"""How much memory a replay takes, for a short and for a long bag."""

from pathlib import Path

from tqdm import tqdm

from gaussvae_ros.bench.rows import PEAK_MB, in_fresh_process, row
from gaussvae_ros.sim import write_drive

SHORT, LONG = 10, 60  # s of a drive, 10 frames each
CODE = f"""if True:
    import json, sys
    from gaussvae_ros.bank import MemoryBank
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.replay import replay
    with MemoryBank(sys.argv[2]) as bank:
        frames = replay(sys.argv[1], FrameCodec(), bank, compare=0)["frames"]
    print(json.dumps([frames, {PEAK_MB}]))
"""


def run(folder: Path) -> list[dict]:
    """Replay a drive of 100 frames and one of 600, each in a process of its own."""
    (few, little), (many, much) = (_replay(folder, seconds) for seconds in (SHORT, LONG))
    name = f"replay: most memory held, {many} frames beside {few}"
    return [row(name, round(much), "MB", "at most 1000, whatever the length", round(little))]


def _replay(folder: Path, seconds: int) -> tuple[int, float]:
    """Frames of a drive, and the peak resident memory of their replay, MB."""
    bag = folder / f"drive_{seconds}"
    write_drive(
        bag,
        seconds,
        progress=lambda frames: tqdm(frames, desc=f"drive of {seconds} s", disable=None),
    )
    return tuple(in_fresh_process(CODE, bag, bag.with_suffix(".db")))
