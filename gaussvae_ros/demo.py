"""The whole product in one go: a simulated drive, replayed into a memory file, and recalled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.evaluation.rate_distortion import Codec
from gaussvae_ros.files import write_image
from gaussvae_ros.replay import replay
from gaussvae_ros.sequence.revisits import turned
from gaussvae_ros.sim import write_drive
from gaussvae_ros.sim.drive import checked_seconds

ROUNDS = ("first", "second")
RADIUS = 1.0  # m, how near a place must be to count as the same


def demo(
    codec: Codec, out_dir: str | Path, seconds: float = 30.0, say: Callable[[str], None] = print
) -> dict:
    """Drive, replay and recall into the folder `out_dir`, in place of an earlier demo's files.

    Files: drive/ (the bag), memory.db, report.html, and recalled_by_{id,time,place}.png. `say`
    gets a line for each step.

    Returns:
        What `gaussvae_ros.replay.replay` returns, and rounds: the mean bytes of a frame in each.

    Raises:
        GaussVaeError, OSError: `seconds` is out of range, or the folder cannot be written.
    """
    out, seconds = Path(out_dir), checked_seconds(seconds)
    out.mkdir(parents=True, exist_ok=True)
    say(f"Driving a simulated robot twice around its loop in {seconds:g} s: {out / 'drive'}")
    write_drive(
        out / "drive",
        seconds,
        progress=lambda frames: tqdm(frames, unit="frame", desc="drive", disable=None),
    )
    for old in out.glob("memory.db*"):
        old.unlink()
    say(f"Replaying the bag through codec and bank, peers at equal bytes: {out / 'memory.db'}")
    with MemoryBank(out / "memory.db") as bank:
        result = replay(out / "drive", codec, bank, report_dir=out)
        result["rounds"] = _rounds(bank)
        said = (f"{mean:,.0f} in the {name}" for name, mean in zip(ROUNDS, result["rounds"]))
        say(f"Mean bytes of a frame: {' and '.join(said)} round")
        for how, frame, words in _recalls(bank, result):
            file = out / f"recalled_by_{how}.png"
            write_image(file, codec.decode(frame.records))
            say(f"Recalled by {how}: {words}: {file}")
    return result


def _rounds(bank: MemoryBank) -> list[float]:
    """The mean bytes of the records of the first round, and of the second."""
    frames = list(bank)
    middle = (frames[0].stamp_ns + frames[-1].stamp_ns) / 2
    rounds = [[], []]
    for frame in frames:
        rounds[frame.stamp_ns > middle].append(len(frame.data))
    return [float(np.mean(sizes)) for sizes in rounds]


def _recalls(bank: MemoryBank, result: dict) -> list[tuple[str, Frame, str]]:
    """One frame by its id, one by a time, and one of the first round by a place of the second."""
    first, last = bank.get(result["first_id"]), bank.get(result["last_id"])
    middle = (first.stamp_ns + last.stamp_ns) // 2
    by_time = bank.nearest(middle - (middle - first.stamp_ns) // 2)
    now = bank.nearest(middle + (last.stamp_ns - middle) // 2)
    before = [
        f
        for f in bank.find(before=middle, near=now.pose.position, radius=RADIUS)
        if f.pose is not None
    ]
    recalls = [
        ("id", first, f"frame {first.id}, the first"),
        (
            "time",
            by_time,
            f"frame {by_time.id}, {(by_time.stamp_ns - first.stamp_ns) / 1e9:.1f} s into the drive",
        ),
    ]
    if before:
        then = min(before, key=lambda f: _apart(f, now))
        words = f"frame {then.id}, where frame {now.id} saw the same place a round later"
        return [*recalls, ("place", then, words)]
    return recalls


def _apart(a: Frame, b: Frame) -> float:
    """How far two views lie apart: metres, and a metre for each radian of turning between them."""
    shift = np.linalg.norm(np.subtract(a.pose.position, b.pose.position))
    return float(shift + turned(a.pose, b.pose))
