"""How much a memory file writes to its disk for a frame, and how often it syncs, at a camera's
pace.
"""

import math
import random
import time
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bench.disk_log import DiskLog
from gaussvae_ros.bench.rows import row
from gaussvae_ros.recognition.places import LENGTH, quantised
from gaussvae_ros.record import OVERHEAD, Record, pack

RECORD = 500  # bytes
RATE = 10  # Hz
BEFORE = 1000  # frames that are there already
GROUPS_S, SINGLE_S = 36.0, 12.0  # of frames at that rate


def run(folder: Path) -> list[dict]:
    """Rows of what frames with pose and descriptor cost in groups, as they come, beside one commit
    a frame.
    """
    written, syncs = _measure(folder / "groups.db", GROUPS_S, single=False)
    alone, syncs_alone = _measure(folder / "single.db", SINGLE_S, single=True)
    what = f"of {RECORD / 1000:g} KB at {RATE} a second, beside one commit a frame"
    return [
        row(f"bank: written a frame {what}", written, "KB", "at most 8", alone),
        row(f"bank: syncs for frames {what}", syncs, "1/s", None, syncs_alone),
    ]


def add_frame(bank: MemoryBank, number: int) -> None:
    """A frame of a robot that drives in circles, RATE a second."""
    rng, angle = random.Random(number), 2 * math.pi * number / 2500
    bank.add(
        pack(Record("latent", (640, 480), rng.randbytes(RECORD - OVERHEAD))),
        stamp_ns=number * 10**9 // RATE,
        pose=Pose(40 * math.cos(angle), 40 * math.sin(angle), 0.0),
        descriptor=quantised(np.array(rng.choices(range(-7, 8), k=LENGTH))).tobytes(),
        frame_id="camera_optical",
    )


def _measure(path: Path, seconds: float, single: bool) -> tuple[float, float]:
    """(KB written a frame, syncs a second), the closing of the file not counted."""
    count = round(RATE * seconds)
    with DiskLog() as log:
        with MemoryBank(path) as bank:
            for number in range(BEFORE):
                add_frame(bank, number)
        with MemoryBank(path) as bank:
            before, begun = len(log.changes), time.monotonic()
            for number in range(count):
                time.sleep(max(begun + number / RATE - time.monotonic(), 0))
                add_frame(bank, BEFORE + number)
                if single:
                    bank.flush()
            changes = log.changes[before:]
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
    written = sum(len(change.data) for change in changes)
    syncs = sum(change.what == "sync" for change in changes)
    return round(written / count / 1000, 1), round(syncs / seconds, 2)
