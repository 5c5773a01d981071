"""Which of a few frames the others cover best: nearest to another in place, time and looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.likeness import likenesses
from gaussvae_ros.recognition.kinds import kind_of

YEAR_S = 31_557_600.0
NEEDED = 0.25  # by which a frame counts as farther from others whose record others need


@dataclass(frozen=True)
class Member:
    """A frame of a cell."""

    id: int
    session: int
    camera: str
    stamp_ns: int
    map_id: str
    pose: tuple[float, ...] | None  # x, y, z (m), qx, qy, qz, qw
    reference: str | None  # the coordinate frame of the pose
    descriptor: bytes | None = None


def distances(frames: Sequence[Member], width: float) -> np.ndarray:  # [N, N]
    """How far frames are apart in place, heading, time and looks, each from 0 to 1, in all.

    `width` (m) is far in place, a half turn in heading, a year in time (by the logarithm of 1 s and
    more), and what unrelated pictures differ by in looks. What is not known of both is 0.
    """
    stamps = np.array([frame.stamp_ns for frame in frames], np.float64) / 1e9
    apart = np.abs(stamps[:, None] - stamps)
    total = np.minimum(np.log1p(apart) / np.log1p(YEAR_S), 1)
    posed = [i for i, frame in enumerate(frames) if frame.pose is not None]
    if posed:
        poses = np.array([frames[i].pose for i in posed])
        steps = np.linalg.norm(poses[:, None, :3] - poses[:, :3], axis=2)
        turns = 2 * np.arccos(np.clip(np.abs(poses[:, 3:] @ poses[:, 3:].T), 0, 1))
        total[np.ix_(posed, posed)] += np.minimum(steps / width, 1) + turns / np.pi
    for length in {len(frame.descriptor) for frame in frames if frame.descriptor}:
        some = [i for i, frame in enumerate(frames) if len(frame.descriptor or b"") == length]
        looks = np.array([np.frombuffer(frames[i].descriptor, np.int8) for i in some])
        total[np.ix_(some, some)] += np.clip((1 - likenesses(looks)) / kind_of(length).unlike, 0, 1)
    return total


def thinned(apart: np.ndarray, can_go: np.ndarray, count: int) -> list[int]:
    """The rows of at most `count` frames, of which each is the one that another of those left is
    nearest to; of two equally near ones that whose second nearest is nearer, then the first.

    `apart` is [N, N], `can_go` [N] how much farther a frame counts, inf if it stays.
    """
    apart = apart.astype(np.float64)
    np.fill_diagonal(apart, np.inf)
    left = np.ones(len(apart), bool)
    nearest, gone = _two(apart), []
    while len(gone) < count:
        scores = nearest[:, 0] + can_go + 1e-3 * np.minimum(nearest[:, 1], 10)
        scores[~left] = np.inf
        at = int(np.argmin(scores))
        if not np.isfinite(scores[at]):
            break
        gone.append(at)
        left[at] = False
        touched = np.flatnonzero(left & (apart[:, at] <= nearest[:, 1]))
        apart[:, at] = np.inf
        nearest[touched] = _two(apart[touched])
    return gone


def _two(rows: np.ndarray) -> np.ndarray:  # [M, N] -> [M, 2]
    """The two least numbers of each row, inf where it has fewer."""
    none = np.full((len(rows), 1), np.inf)
    return np.partition(np.hstack([rows, none]), 1, axis=1)[:, :2]
