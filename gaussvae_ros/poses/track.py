"""Stamped poses of one frame in another, cleaned and interpolated."""

from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from gaussvae_ros.poses.arithmetic import angles, as_pose, interpolate

SPACING_NS = 8_000_000  # denser samples add memory, not accuracy: at 2 rad/s this is 1 degree
HOLD_NS = 100_000_000  # a stamp this far before the first or after the last sample takes its pose
GAP_NS = 2_000_000_000  # nothing is interpolated across a longer silence
JUMP_NS = 1_000_000_000  # a stamp this far back is a clock that was set back, not a late message
WILD = 3  # so many samples in a row may be a fault; more are a place where the robot was
# A leap from one sample to another is more than each of: so far, so fast, so often a usual step.
LEAP_M, LEAP_M_S, LEAP_RAD, LEAP_RAD_S, USUAL = 1.0, 20.0, 1.0, 10.0, 5
ABSURD_M_S = 1000.0  # a leap at the ends of a track, where nothing can come back
MOVED_M, MOVED_RAD = 1e-3, 1e-3  # less is noise


class Track:
    """Stamped poses of one frame in another: linear in position, slerp in rotation (Shoemake 1985).

    Samples come in the order of their recording; where stamps are set back, a new segment begins.
    Left out are samples that are no pose (counted in `refused`), and up to WILD in a row that leap
    away in place or time, and back.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._stamps, self._recorded, self._poses = array("q"), array("q"), array("d")
        self._wild, self._moves = 0, False
        self._begun: list[int] = []  # ns, record time at which each segment begins
        self._segments: list[tuple[np.ndarray, np.ndarray]] = []  # (stamps ns [N], poses [N, 7])
        self._clean = True

    def __len__(self) -> int:
        return sum(len(stamps) for stamps, _ in self.segments())

    def add(self, stamp_ns: int, recorded_ns: int, pose: np.ndarray) -> None:
        """Append a pose [7]. One less than SPACING_NS after the last is dropped."""
        if self._stamps and 0 <= stamp_ns - self._stamps[-1] < SPACING_NS:
            return
        if (pose := as_pose(pose)) is None:
            self.refused += 1
            return
        self._stamps.append(stamp_ns)
        self._recorded.append(recorded_ns)
        self._poses.extend(pose)
        self._clean = False

    def at(self, stamp_ns: int, recorded_ns: int) -> np.ndarray | None:
        """The pose [7] at a stamp of a message recorded at `recorded_ns`, None if none is near."""
        if not (segments := self.segments()):
            return None
        stamps, poses = segments[max(bisect_right(self._begun, recorded_ns) - 1, 0)]
        i = int(np.searchsorted(stamps, stamp_ns))
        if i in (0, len(stamps)):
            end = min(i, len(stamps) - 1)
            return poses[end].copy() if abs(int(stamps[end]) - stamp_ns) <= HOLD_NS else None
        before, after = int(stamps[i - 1]), int(stamps[i])
        if after - before > GAP_NS and after > stamp_ns:
            return None
        return interpolate(poses[i - 1], poses[i], (stamp_ns - before) / (after - before))

    def first(self) -> np.ndarray:
        """The pose [7] with the first stamp, of a track that is not empty."""
        return self.segments()[0][1][0].copy()

    def moves(self) -> bool:
        """Whether the pose changes by more than noise."""
        self.segments()
        return self._moves

    def received(self) -> int:
        """How many samples were kept before cleaning."""
        return len(self._stamps)

    def span_ns(self) -> tuple[int, int]:
        """The first and the last stamp, of a track that is not empty."""
        stamps = [stamps for stamps, _ in self.segments()]
        return int(min(s[0] for s in stamps)), int(max(s[-1] for s in stamps))

    def lead_ns(self) -> np.ndarray:
        """By how much the stamps [N] are before (negative) or after the times of recording."""
        return np.array(self._stamps, np.int64) - np.array(self._recorded, np.int64)

    def wild(self) -> int:
        """How many samples were left out because they leap away and back."""
        self.segments()
        return self._wild

    def segments(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(stamps ns int64 [N], rising; poses float64 [N, 7]) between two settings back."""
        if self._clean:
            return self._segments
        stamps, recorded = np.array(self._stamps), np.array(self._recorded)
        poses = np.array(self._poses).reshape(-1, 7)
        wild = _excursions(
            np.abs(np.diff(stamps)) > JUMP_NS,
            lambda a, b: np.abs(stamps[b] - stamps[a]) > JUMP_NS,
        )
        self._wild = int(wild.sum())
        stamps, recorded, poses = stamps[~wild], recorded[~wild], poses[~wild]
        self._begun, self._segments, self._clean = [], [], True
        for begin, end in pairwise([*_begins(stamps), len(stamps)]):
            _, order = np.unique(stamps[begin:end], return_index=True)
            order += begin
            wild = _wild(stamps[order], poses[order])
            self._wild += int(wild.sum())
            self._begun.append(int(recorded[begin]))
            self._segments.append((stamps[order[~wild]], poses[order[~wild]]))
        poses = np.concatenate([poses for _, poses in self._segments])
        moved = np.abs(poses[:, :3] - poses[0, :3]).max() > MOVED_M
        self._moves = bool(moved or angles(poses[:, 3:], poses[0, 3:]).max() > MOVED_RAD)
        return self._segments


def _begins(stamps: np.ndarray) -> list[int]:
    """Where stamps [N] in the order of recording are set back by more than JUMP_NS; 0 first."""
    begins = [0]
    if (stamps >= np.maximum.accumulate(stamps) - JUMP_NS).all():
        return begins
    newest = int(stamps[0])
    for i, stamp in enumerate(stamps.tolist()):
        if stamp < newest - JUMP_NS:
            begins.append(i)
            newest = stamp
        newest = max(newest, stamp)
    return begins


def _wild(stamps: np.ndarray, poses: np.ndarray) -> np.ndarray:  # bool [N]
    """Which of a segment's samples leap away and back, or are an end beyond all reach."""
    if len(stamps) < 3:
        return np.zeros(len(stamps), bool)

    def steps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Metres, radians and seconds [M] from samples `a` [M] to `b` [M]."""
        moved = np.linalg.norm(poses[b, :3] - poses[a, :3], axis=1)
        return moved, angles(poses[b, 3:], poses[a, 3:]), (stamps[b] - stamps[a]) / 1e9

    every = np.arange(len(stamps))
    # Of two robots on one topic each second sample is near, and the steps between are not usual.
    usual = [[np.median(x) for x in steps(every[:-n], every[n:])[:2]] for n in (1, 2)]
    moved, turned = np.min(usual, axis=0)
    far, round_ = max(LEAP_M, USUAL * moved), max(LEAP_RAD, USUAL * turned)

    def leap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        moved, turned, seconds = steps(a, b)
        flown = moved > np.maximum(far, LEAP_M_S * seconds)
        return flown | (turned > np.maximum(round_, LEAP_RAD_S * seconds))

    wild = _excursions(leap(every[:-1], every[1:]), leap)
    kept = np.flatnonzero(~wild)
    moved, _, seconds = steps(kept[:-1], kept[1:])
    absurd = np.flatnonzero((moved > far) & (moved > ABSURD_M_S * seconds)) + 1
    few = min(WILD, len(kept) // 5)
    if len(absurd) and absurd[0] <= few:
        wild[kept[: absurd[0]]] = True
    if len(absurd) and len(kept) - absurd[-1] <= few:
        wild[kept[absurd[-1] :]] = True
    return wild


def _excursions(jumps: np.ndarray, leap: Callable) -> np.ndarray:  # bool [N]
    """Which of N samples are away: at most WILD in a row, between a jump there and one back.

    `jumps` bool [N - 1] says which neighbours leap; leap(a, b) [M] says so of samples a, b [M].
    """
    away = np.zeros(len(jumps) + 1, bool)
    borders = [0, *(np.flatnonzero(jumps) + 1).tolist(), len(away)]
    i = 1
    while i < len(borders) - 2:
        begin = borders[i]
        for j in range(i + 1, len(borders) - 1):
            end = borders[j]
            around = begin - borders[i - 1] + borders[j + 1] - end
            if end - begin > WILD:
                break
            if end - begin < around and not leap(np.array([begin - 1]), np.array([end]))[0]:
                away[begin:end] = True
                i = j
                break
        i += 1
    return away
