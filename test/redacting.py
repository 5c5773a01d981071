"""Memories that hold what can be found again, byte by byte, for tests of redaction."""

import random
import struct
from pathlib import Path

import numpy as np
from references import SIZE

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.record import PREDICTED, Record, checksum, pack

STAMP = 1_700_000_000_123_456_789  # ns, of frame 1; the others follow, unlike each other in 8 bytes
WINDOW = 12  # bytes that no two records share


class Bytes:
    """A codec of records of random bytes, which says what it was asked."""

    def __init__(self):
        self.made = 0

    def decode(self, records):
        return np.full((SIZE[1], SIZE[0]), len(records), np.uint8)

    def encode(self, image, quality=50, effort="fast"):
        self.made += 1
        return record(10_000 + self.made)


def record(number: int, *needed: bytes, n: int = 3000) -> bytes:
    """Longer than a page of the file."""
    payload = random.Random(number).randbytes(n)
    if needed:
        return pack(Record(PREDICTED, SIZE, payload, checksum(needed[-1])))
    return pack(Record("latent", SIZE, payload))


def descriptor(number: int) -> bytes:
    return random.Random(-number).randbytes(64)


def stamp(number: int) -> int:
    return STAMP + number * 7_777_777_777_777


def traces(folder: Path, number: int, data: bytes) -> list[str]:
    """What is left of a frame in any file of a folder."""
    pieces = {"record": data, "descriptor": descriptor(number)}
    windows = {
        piece[i : i + WINDOW]: name
        for name, piece in pieces.items()
        for i in range(0, len(piece) - WINDOW, WINDOW)
    }
    windows[f"secret {number};".encode()] = "label"
    windows[struct.pack(">q", stamp(number))] = "stamp"
    windows[struct.pack(">d", 1000 + number / 7)] = "pose"
    found = []
    for path in folder.iterdir():
        held = path.read_bytes()
        found += [f"{name} in {path.name}" for window, name in windows.items() if window in held]
    return sorted(set(found))


def fill(bank: MemoryBank, needs: list[int | None], first: int = 1) -> dict[int, list[bytes]]:
    """Frames of which each needs that at a place before it, or none; their records."""
    chains: dict[int, list[bytes]] = {}
    bank.begin_session("tour", start_ns=0)
    bank._db.execute("PRAGMA secure_delete=OFF")  # as most builds of SQLite have it
    for i, other in enumerate(needs, first):
        needed = [] if other is None else chains[other]
        chains[i] = [*needed, record(i, *needed)]
        made = bank.add(
            chains[i][-1],
            stamp_ns=stamp(i),
            reference=other,
            label=f"secret {i};",
            descriptor=descriptor(i),
            pose=Pose(1000 + i / 7, i, 0),
        )
        assert made == i
    return chains


def test_what_was_removed_before_leaves_traces(tmp_path):
    """Which is why there is more to do."""
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None] * 20)
        bank.flush()
        bank.remove([7])
    assert traces(tmp_path, 7, chains[7][-1])
