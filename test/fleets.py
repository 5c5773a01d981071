"""Memories of robots for the tests of archives and catalogues, without a codec."""

import math
import random
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.search.texts import Text
from gaussvae_ros.record import Record, checksum, pack

START = 1_767_139_000_000_000_000  # ns, 2025-12-30 23:56:40 UTC: some minutes before midnight
KEYS = 5  # from one record that decodes alone to the next


def look(place: int, noise: int = 0) -> bytes:
    """A descriptor of a place, 128 bytes."""
    seen = np.random.default_rng(place).normal(0, 45, 128)
    seen += np.random.default_rng(noise + 10**6).normal(0, 8, 128)
    return np.clip(seen, -127, 127).astype(np.int8).tobytes()


def drive(path: Path, frames: int = 60, seed: int = 0, start: int = START) -> Path:
    """A memory: a tour of frames 10 s apart along x, most with poses, some predicted from others,
    with labels, texts, vectors, a corrected pose, a calibration and a model.
    """
    rng = random.Random(seed)
    with MemoryBank(path) as bank:
        session = bank.begin_session(f"tour {seed}", start_ns=start + seed, map_id="hall")
        bank.add_model(b"abc", "anchors", b"model" * 20)
        add(bank, frames, rng, start)
        bank.set_calibration("front", {"width": 64}, session=session)
        bank.set_tally(session, {"received": 99, "gated": 9, "dropped": 1, "poses_missing": 2})
        if frames > 12:
            bank.set_pose(3, Pose(0.5, 7.0, 0.25, 0.1, 0.2, 0.3, math.sqrt(0.86)))
            bank.set_label(4, "dock")
            bank.set_texts(5, [Text("Fire Exit", (1, 2, 3, 4), 0.75)])
            bank.set_vector(6, "clip", np.array([0.5, -1.0, 0.25], np.float32))
    return path


def add(bank: MemoryBank, frames: int, rng: random.Random, start: int = START) -> None:
    """More frames, after those that are there."""
    done, key = bank.last_id(), None
    for i in range(done, done + frames):
        size = rng.randrange(20, 90)
        if i % KEYS and key:
            record = Record(
                "predicted", (64, 48), rng.randbytes(size), checksum(bank.get(key).data)
            )
        else:
            record, key = Record("splats", (64, 48), rng.randbytes(size)), None
        number = bank.add(
            pack(record),
            stamp_ns=start + 10**10 * i,
            camera="front" if i % 3 else "rear",
            pose=None if i % 7 == 6 else Pose(0.3 * i, rng.random(), 0.1, 0, 0, 0.6, 0.8),
            descriptor=None if i % 11 == 10 else look(i),
            frame_id="front_optical" if i % 3 else "",
            reference=key,
        )
        key = key or number


def everything(bank: MemoryBank, first: int = 1, last: int = 10**9) -> list[tuple]:
    """All of a memory's frames but their ids, which differ from one file to the next."""
    rows = bank.whole(first, last)
    return [row._replace(id=0, session=0, reference=None) for row in rows]
