"""The catalogue that `bench fleet` asks: a hundred robots that drive one route of 2.5 km, in one
map, over and over, each place looking alike but for noise.
"""

import math
from collections.abc import Iterator

import numpy as np

from gaussvae_ros.bench.bank_data import LABELLED, PERIOD, RADIUS, ROUND, START
from gaussvae_ros.bench.bank_data import RECORD as BYTES
from gaussvae_ros.recognition.places import LENGTH, quantised

ROBOTS = 100
AT_ONCE = 20_000  # rows that are made together
DAY, EPOCH = 86_400 * 10**9, 10_957  # ns; days from 1970 to 2000, where PostgreSQL begins
SPOTS = ROUND // 10  # places with a look of their own
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COLUMNS = {
    "robot": "S4",
    "bank": "S12",
    "id": ">i8",
    "day": ">i4",
    "first": ">i8",
    "session": ">i8",
    "camera": "S5",
    "stamp_ns": ">i8",
    "width": ">i4",
    "height": ">i4",
    "tier": "S6",
    "bytes": ">i4",
    **dict.fromkeys(("x", "y", "z", "qx", "qy", "qz", "qw"), ">f8"),
    "reference": "S3",
}


class Fleet:
    """The rows, by number from 0 on."""

    def __init__(self, rows: int):
        self.rows, self.each = rows, max(1, rows // ROBOTS)
        rng = np.random.default_rng(0)
        self._looks = rng.normal(0, 45, (SPOTS + 1, LENGTH)).astype(np.float32)

    @property
    def columns(self) -> str:
        """That rows have, for COPY."""
        return ", ".join([*_COLUMNS, "label", "descriptor"])

    def copies(self) -> Iterator[bytes]:
        """All rows, some at a time, as PostgreSQL's binary COPY takes them."""
        yield _HEAD
        for begin in range(0, self.rows, AT_ONCE):
            numbers = np.arange(begin, min(begin + AT_ONCE, self.rows))
            labelled = numbers % LABELLED == 17
            for some, label in ((numbers[~labelled], False), (numbers[labelled], True)):
                if len(some):
                    yield self._copy(some, label)
        yield b"\xff\xff"

    def place(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y, m, and heading, rad."""
        rng = np.random.default_rng(int(numbers[0]))
        angle = 2 * math.pi * (numbers % ROUND) / ROUND
        radius = RADIUS + numbers // ROUND % 7 * 0.5 + rng.normal(0, 0.05, len(numbers))
        return radius * np.cos(angle), radius * np.sin(angle), angle

    def look(self, numbers: np.ndarray, seed: int = 0) -> np.ndarray:
        """Descriptors, int8 [N, 128]."""
        rng = np.random.default_rng((int(numbers[0]), seed))
        at, part = np.divmod(numbers % ROUND, 10)
        part = (part / 10)[:, None].astype(np.float32)
        seen = self._looks[at] * (1 - part) + self._looks[at + 1] * part
        seen += 12 * rng.standard_normal(seen.shape, np.float32)
        return quantised(seen)

    def stamp(self, numbers: np.ndarray) -> np.ndarray:
        """ns; all robots drive at the same time."""
        return START + numbers % self.each * PERIOD + numbers // self.each

    def _copy(self, numbers: np.ndarray, labelled: bool) -> bytes:
        kinds = dict(_COLUMNS)
        kinds["label"] = "S9" if labelled else None
        fields = [("count", ">i2")]
        for name, kind in kinds.items():
            fields.append((f"{name} length", ">i4"))
            fields += [(name, kind)] if kind else []
        fields += [("look length", ">i4"), ("head", ">u2", 2), ("look", ">f2", LENGTH)]
        rows = np.zeros(len(numbers), fields)
        for name, kind in kinds.items():
            rows[f"{name} length"] = np.dtype(kind).itemsize if kind else -1
        robots, inside = np.divmod(numbers, self.each)
        x, y, yaw = self.place(numbers)
        rows["count"] = len(kinds) + 1
        rows["robot"] = [b"r%03d" % robot for robot in robots]
        rows["bank"], rows["tier"], rows["reference"] = b"0123456789ab", b"splats", b"map"
        rows["id"], rows["stamp_ns"] = inside + 1, self.stamp(numbers)
        rows["day"] = rows["stamp_ns"].astype(np.int64) // DAY - EPOCH
        rows["first"], rows["session"] = 1, 1 + inside // ROUND
        rows["camera"] = np.where(numbers % 2, b"front", b"rear ")
        rows["width"], rows["height"], rows["bytes"] = 640, 480, BYTES
        rows["x"], rows["y"], rows["z"] = x, y, 0.3
        rows["qz"], rows["qw"] = np.sin(yaw / 2), np.cos(yaw / 2)
        if labelled:
            rows["label"] = [b"dock %04d" % (number // LABELLED % 10_000) for number in numbers]
        rows["look length"] = 4 + 2 * LENGTH
        rows["head"], rows["look"] = (LENGTH, 0), self.look(numbers)
        return rows.tobytes()
