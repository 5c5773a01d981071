"""What compression costs recognition: places found again by what codecs leave of remembered frames.

A set is a folder of visits, which are folders of pictures. Pictures that are as far along in the
order of their names show the same place. The first visit is remembered, as the codec leaves it; the
pictures of the others are asked about, as they are.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import DataError
from gaussvae_ros.evaluation import peers
from gaussvae_ros.evaluation.images import find_images, read_image, spread
from gaussvae_ros.evaluation.report import Table
from gaussvae_ros.files import write_file
from gaussvae_ros.likeness import likeness
from gaussvae_ros.recognition.kinds import GRADIENTS, PLACES

QUALITIES = (25, 50, 75, 90)
CODECS = ("jpeg", "webp", "avif")
FIRST = (1, 5, 10)  # likest pictures among which one of the same place is looked for
ROW = 10  # pictures in a row
RATIO, NEAR, INLIERS = 0.8, 3.0, 20  # of SIFT matches: Lowe's ratio, px from the epipolar line
KEYPOINTS = 1000


@dataclass(frozen=True)
class Settings:
    """What is compared."""

    qualities: Sequence[float] = QUALITIES
    codecs: Sequence[str] = CODECS
    frames: int | None = None  # of each visit, spread over it; None: all
    within: int = 2  # pictures from the right one that still show its place


@dataclass(frozen=True)
class Seen:
    """Pictures, and what is known of each."""

    pictures: list[np.ndarray]
    points: list[tuple[np.ndarray, np.ndarray]]  # SIFT: float32 [N, 2] px, [N, 128]

    @staticmethod
    def of(pictures: list[np.ndarray]) -> "Seen":
        return Seen(pictures, [_keypoints(picture) for picture in pictures])


def evaluate_recognition(
    sets: Iterable[str | Path],
    out: str | Path,
    codec: FrameCodec,
    settings: Settings = Settings(),
    progress: Callable = iter,
) -> dict:
    """Measure, and write `recognition.json` into the folder `out`.

    Returns:
        {"sets": [{"set", "visits", "frames", "rows": [{"codec", "quality", "bytes", figures of
        `compared`}]}]}.

    Raises:
        DataError: a set without two visits of pictures, or with visits of other lengths, or
            settings out of range.
        GaussVaeError: pictures that cannot be read or coded.
    """
    if unknown := sorted(set(settings.codecs) - set(CODECS)):
        raise DataError(f"codecs are {', '.join(CODECS)}, not {', '.join(unknown)}")
    if settings.within < 0 or (settings.frames is not None and settings.frames < 1):
        raise DataError("within must be at least 0, and frames at least 1")
    loaded = {str(path): _visits(Path(path), settings.frames) for path in sets}
    found = []
    for name, visits in loaded.items():
        remembered, *others = map(Seen.of, visits)
        asked = [(other, at) for other in others for at in range(len(other.pictures))]
        rows = []

        def row(name: str, quality: float | None, made: Seen, sizes: Sequence[int]) -> None:
            figures = compared(remembered, made, asked, settings.within)
            size = float(np.mean(sizes)) if len(sizes) else None
            rows.append({"codec": name, "quality": quality, "bytes": size, **figures})

        row("original", None, remembered, [])
        for quality in progress(settings.qualities):
            records = [codec.encode(picture, quality=quality) for picture in remembered.pictures]
            budgets = [len(record) for record in records]
            row("ours", quality, Seen.of([codec.decode(r) for r in records]), budgets)
            for peer in settings.codecs:
                made = [
                    peers.at_bytes(picture, peer, budget)
                    for picture, budget in zip(remembered.pictures, budgets)
                ]
                blank = [np.full_like(picture, 128) for picture in remembered.pictures]
                seen = Seen.of([b if m is None else m.image for m, b in zip(made, blank)])
                row(peer, quality, seen, [m.bytes for m in made if m is not None])
                rows[-1]["fitted"] = sum(m is not None for m in made)
        found.append(
            {
                "set": name,
                "visits": len(visits),
                "frames": len(remembered.pictures),
                "rows": rows,
            }
        )
    result = {"within": settings.within, "sets": found}
    Path(out).mkdir(parents=True, exist_ok=True)
    write_file(Path(out) / "recognition.json", json.dumps(result, indent=1).encode())
    return result


def compared(
    original: Seen, made: Seen, asked: Sequence[tuple[Seen, int]], within: int
) -> dict[str, object]:
    """Recall among the likest FIRST by each kind of descriptor, of single pictures and (the first
    alone) of ROW in a row; the share of frames that are localised by what is `made` of them, beside
    the original itself and from the other visits.
    """
    figures: dict[str, object] = {}
    for name, kind in (("gradients", GRADIENTS), ("places", PLACES)):
        known = np.stack([kind.describe(picture) for picture in made.pictures])
        scores = np.stack([likeness(kind.describe(seen.pictures[at]), known) for seen, at in asked])
        places = np.array([at for _, at in asked])
        figures[name] = [recall(scores, places, within, first) for first in FIRST]
        figures[f"{name}_in_a_row"] = recall(in_a_row(scores, places), places, within, 1)
    count = range(len(made.points))
    figures["matched"] = float(
        np.mean([inliers(original.points[at], made.points[at]) >= INLIERS for at in count])
    )
    figures["localised"] = float(
        np.mean([inliers(seen.points[at], made.points[at]) >= INLIERS for seen, at in asked])
    )
    return figures


def recall(scores: np.ndarray, places: np.ndarray, within: int, first: int) -> float:
    """The share of questions, of which [Q, N] are the scores and `places` [Q] the right answers,
    with one at most `within` from the right one among the `first` best.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :first]
    return float(np.mean((np.abs(best - places[:, None]) <= within).any(axis=1)))


def in_a_row(scores: np.ndarray, places: np.ndarray) -> np.ndarray:  # [Q, N] -> [Q, N]
    """The mean scores along the diagonal: of each question and the ROW - 1 before it."""
    summed = np.zeros_like(scores)
    for row, place in enumerate(places):
        for back in range(min(ROW, place + 1)):
            summed[row, back:] += scores[row - back, : scores.shape[1] - back]
    return summed / ROW


def inliers(one: tuple, other: tuple) -> int:
    """How many SIFT matches of two pictures agree with one epipolar geometry."""
    (here, ours), (there, theirs) = one, other
    if min(len(here), len(there)) < 8:
        return 0
    pairs = {  # of several that match the same point the last: it counts once
        first.trainIdx: first.queryIdx
        for first, second in cv2.BFMatcher().knnMatch(ours, theirs, k=2)
        if first.distance < RATIO * second.distance
    }
    if len(pairs) < 8:
        return 0
    right, left = np.array(list(pairs.items())).T
    cv2.setRNGSeed(0)
    _, agree = cv2.findFundamentalMat(here[left], there[right], cv2.FM_RANSAC, NEAR, 0.999)
    return 0 if agree is None else int(agree.sum())


def recognition_tables(result: dict) -> list[Table]:
    """The figures of each set as a table."""
    columns = ("codec", "quality", "bytes", "gradients @1", "places @1", "@5", "@10")
    columns += ("in a row of 10", "of itself matched", "localised")
    tables = []
    for one in result["sets"]:
        rows = [
            [
                row["codec"],
                row["quality"],
                None if row["bytes"] is None else round(row["bytes"]),
                *(f"{value:.2f}" for value in (row["gradients"][0], *row["places"])),
                *(f"{row[name]:.2f}" for name in ("places_in_a_row", "matched", "localised")),
            ]
            for row in one["rows"]
        ]
        caption = f"{one['set']}: {one['frames']} frames remembered, {one['visits'] - 1} other"
        caption += " visit" if one["visits"] == 2 else " visits"
        tables.append(Table(caption, columns, rows))
    return tables


def _visits(folder: Path, frames: int | None) -> list[list[np.ndarray]]:
    parts = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(parts) < 2:
        raise DataError(f"{folder}: a set is a folder with a folder of pictures for each visit")
    files = [find_images([part]) for part in parts]
    lengths = {len(some) for some in files}
    if len(lengths) > 1:
        counts = ", ".join(f"{part.name} {len(some)}" for part, some in zip(parts, files))
        raise DataError(f"{folder}: visits differ in how many pictures they have: {counts}")
    (length,) = lengths
    which = range(length) if frames is None else spread(length, min(frames, length))
    return [[read_image(some[at]) for at in which] for some in files]


def _keypoints(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    points, described = cv2.SIFT_create(KEYPOINTS).detectAndCompute(grey, None)
    if described is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    return np.float32([point.pt for point in points]), described
