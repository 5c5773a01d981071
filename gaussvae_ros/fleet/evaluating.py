"""What the records of an archive are worth: bytes and picture quality, measured on some of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import pyarrow as pa

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation.metrics import EQUAL, psnr, ssim
from gaussvae_ros.fleet.archive import Archive, Manifest, Part
from gaussvae_ros.fleet.schema import chains
from gaussvae_ros.fleet.units import FRAME, Made, Records, Unit, codec_of, opened, table

EVALUATED = pa.schema(
    [
        *FRAME,
        ("quality", pa.float64()),
        ("bytes", pa.int64()),
        ("psnr", pa.float64()),
        ("ssim", pa.float64()),
        ("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class Evaluate:
    """Rows for one frame in `every`: its record, compared with that of the same frame in the
    archive `against` if there is one, and what it would become at each of `qualities`, compared
    with the picture that the record shows.
    """

    qualities: tuple[float, ...] = ()
    every: int = 100
    against: str | None = None  # URL
    table: ClassVar[str] = "evaluated"
    beside: ClassVar[tuple] = ()
    how: ClassVar[dict] = {"compression": "zstd"}

    def settings(self, unit: Unit) -> dict:
        """What results of a unit depend on besides its records."""
        made = {"qualities": list(self.qualities), "every": self.every}
        if self.against:
            made["against"] = [part.version for part in _parts(self.against, unit)]
        return made

    def __call__(
        self, codec: FrameCodec, source: Archive, target: Archive, records: Records
    ) -> Made:
        """Measure frames of a unit."""
        chosen = [
            (number, chain)
            for number, chain in zip(records.ids, records.chains)
            if number % self.every == 0
        ]
        others = self._others(records.unit, {number for number, _ in chosen})
        rows, failed = [], []
        for number, chain in chosen:
            try:
                rows += self._measured(codec, number, chain, others)
            except GaussVaeError as error:
                failed.append((number, str(error)))
                rows.append((number, None, len(chain[-1]), None, None, str(error)))
        return Made(table(records.unit, rows, EVALUATED), {"sums": _sums(rows)}, failed)

    def _measured(
        self, codec: FrameCodec, number: int, chain: tuple[bytes, ...], others: dict
    ) -> list[tuple]:
        image, figures = codec.decode(chain), (None, None)
        if number in others:
            figures = _compared(codec_of(self.against).decode(others[number]), image)
        rows = [(number, None, len(chain[-1]), *figures, None)]
        for quality in self.qualities:
            data = codec.encode(image, quality)
            rows.append((number, quality, len(data), *_compared(image, codec.decode(data)), None))
        return rows

    def _others(self, unit: Unit, wanted: set[int]) -> dict[int, tuple[bytes, ...]]:
        """What decoding frames of the other archive takes, of those that it has, by id."""
        found = {}
        if self.against:
            for part in _parts(self.against, unit):
                records = opened(self.against).read(part.path("records", unit.robot, unit.bank))
                ids = records.column("id").to_pylist()
                found |= {i: chain for i, chain in zip(ids, chains(records)) if i in wanted}
        return found


def summary(done: Iterable[dict]) -> list[dict]:
    """Means over all frames that were measured: of the stored records (`quality` None), then of
    each quality, with the number of `frames`. Only pictures that were compared count in `psnr` (dB)
    and `ssim`, which are None if there were none.
    """
    sums: dict[float | None, list] = {}
    for made in done:
        for quality, *values in made.get("sums", ()):
            before = sums.get(quality, [0] * len(values))
            sums[quality] = [a + b for a, b in zip(before, values)]
    return [
        {
            "quality": quality,
            "frames": frames,
            "bytes": size / frames,
            "psnr": dB / compared if compared else None,
            "ssim": likeness / compared if compared else None,
        }
        for quality, (frames, size, compared, dB, likeness) in sums.items()
    ]


def _sums(rows: list[tuple]) -> list[list]:
    """Over the rows without error of each quality: their number, bytes, and of those that were
    compared number, PSNR and SSIM.
    """
    sums: dict[float | None, list] = {}
    for _, quality, size, dB, likeness, error in rows:
        if error is None:
            compared = dB is not None
            values = 1, size, int(compared), dB or 0.0, likeness or 0.0
            before = sums.get(quality, [0] * len(values))
            sums[quality] = [a + b for a, b in zip(before, values)]
    return [[quality, *values] for quality, values in sums.items()]


def _compared(image: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """PSNR, dB, at most EQUAL, and SSIM."""
    return min(psnr(image, other), EQUAL), ssim(image, other)


def _parts(url: str, unit: Unit) -> list[Part]:
    """The parts of another archive that may have frames of a unit."""
    this, parts = unit.part, _manifest(url, unit.robot, unit.bank).parts
    return [p for p in parts if p.day == this.day and p.first <= this.last and p.last >= this.first]


@cache
def _manifest(url: str, robot: str, bank: str) -> Manifest:
    return opened(url).manifest(robot, bank)
