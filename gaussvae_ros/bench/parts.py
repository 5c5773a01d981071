"""The parts of `gaussvae bench`, each a module whose `run` returns rows (docs/bench.md)."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from gaussvae_ros.bench import (
    ablation,
    bank,
    codec,
    decode,
    durability,
    fit,
    fleet,
    fleet_batch,
    forgetting,
    replay,
    ros,
    soak,
    start,
    timeline,
)
from gaussvae_ros.bench.frames import drive_frames, read_frames
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import GaussVaeError


def _fleet(folder: Path, *given: object) -> list[dict]:
    return [*fleet.run(folder, *given), *fleet_batch.run(folder / "batch", drive_frames())]


ON_FRAMES = {
    "fit": fit.run,
    "codec": codec.run,
    "ablation": ablation.run,
    "decode": decode.run,
}
ON_FILES = {
    "bank": bank.run,
    "durability": durability.run,
    "forgetting": forgetting.run,
    "timeline": timeline.run,
    "start": start.run,
    "replay": replay.run,
    "fleet": _fleet,
    "ros": ros.run,
}
PARTS = (*ON_FRAMES, *ON_FILES)
FEWEST, MOST = 10_000, 10_000_000  # frames of bank
SHORTEST_SOAK = 0.5  # minutes


def run(
    parts: Sequence[str] = (),
    images: Sequence[str | Path] = (),
    frames: int = bank.FRAMES,
    catalogue_rows: int = fleet.ROWS,
    catalogue: str | None = None,
) -> list[dict]:
    """Measure some parts, or all.

    Args:
        parts: of PARTS; none means all of them, ros where it can run.
        images: files and folders that fit, codec, ablation and decode are measured on, instead
            of a simulated drive's frames.
        frames: of the memory that bank and fleet are measured on.
        catalogue_rows, catalogue: of fleet, rows of a catalogue, and the database that it is
            measured in, None for no catalogue.

    Returns:
        Rows of name, value (None where it could not be measured), unit, target (text or None),
        reference (number or None), ready for JSON.

    Raises:
        GaussVaeError: there is no such part, or an image cannot be read.
    """
    if not FEWEST <= frames <= MOST:
        raise GaussVaeError(f"bank is measured on {FEWEST:,} to {MOST:,} frames, not {frames:,}")
    if not FEWEST <= catalogue_rows <= MOST:
        raise GaussVaeError(f"a catalogue is measured with {FEWEST:,} to {MOST:,} rows")
    for part in parts:
        if part not in PARTS:
            raise GaussVaeError(f"bench has no part {part!r}: it has {', '.join(PARTS)}")
    chosen = [part for part in PARTS if part in parts or not parts]
    pictures = read_frames(images) if images else None
    rows = []
    for part in chosen:
        if part in ON_FRAMES:
            pictures = pictures or drive_frames()
            rows += ON_FRAMES[part](pictures)
        elif part == "ros" and not parts and (problem := ros.why_not()):
            rows.append(row(f"ros (skipped: {problem})", None, ""))
        else:
            given = {"bank": (frames,), "fleet": (frames, catalogue_rows, catalogue)}
            with tempfile.TemporaryDirectory(prefix="gaussvae_") as folder:
                rows += ON_FILES[part](Path(folder), *given.get(part, ()))
    return rows


def run_soak(minutes: float) -> list[dict]:
    """The two nodes through mixed faults; rows as those of `run`.

    Raises:
        GaussVaeError: there is no ROS 2 here, or the time is too short for a fault of each kind.
    """
    if not SHORTEST_SOAK <= minutes < float("inf"):
        raise GaussVaeError(f"a soak takes at least {SHORTEST_SOAK:g} minutes, not {minutes:g}")
    with tempfile.TemporaryDirectory(prefix="gaussvae_") as folder:
        return soak.run(Path(folder), minutes)
