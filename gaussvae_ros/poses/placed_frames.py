"""Frames that may be moved yet: where odometry and the map have them. Any thread may use them."""

import threading
from array import array
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.poses.arithmetic import compose
from gaussvae_ros.poses.trajectory import interpolated, moved, origins

NEVER = 2**63  # ns, later than any stamp
MOVED_M, MOVED_RAD = 0.01, 0.01  # frames that would move less stay where they are


@dataclass(frozen=True, eq=False)
class Columns:
    """N frames at one moment."""

    turn: int  # how often all were forgotten before
    oldest_new: int  # ns, the first stamp of those that came since the columns before
    ids: np.ndarray  # int64 [N]
    stamps: np.ndarray  # int64 [N], ns
    seen: np.ndarray  # float64 [N, 7], the camera in odometry's frame
    poses: np.ndarray  # float64 [N, 7], the camera in the map, as it is stored

    def corrected(
        self,
        path: tuple[np.ndarray, np.ndarray],
        odometry: tuple[np.ndarray, np.ndarray],
        since: int = -NEVER,
        beyond: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(which of them a corrected path of the robot moves [M], and their poses [M, 7]).

        The path is cleaned. Only frames after the stamp `since` are looked at. The correction at an
        end of the path goes on beyond it; after its last stamp only if `beyond`.
        """
        stamps, poses = (column[path[0] >= since] for column in path)
        stamps, origin = origins((stamps, poses), odometry)
        which = np.flatnonzero(self.stamps > since)
        if len(stamps) and not beyond:
            which = which[self.stamps[which] <= stamps[-1]]
        return self.by_origins(stamps, origin, which)

    def by_origins(
        self, stamps: np.ndarray, origin: np.ndarray, which: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(those of the frames at places `which` that move [M], and their poses [M, 7]) where
        odometry's origin was at these poses in the map.
        """
        if not (len(stamps) and len(which)):
            return np.zeros(0, np.int64), np.zeros((0, 7))
        poses = compose(interpolated(stamps, origin, self.stamps[which]), self.seen[which])
        far = moved(self.poses[which], poses, MOVED_M, MOVED_RAD)
        return which[far], poses[far]


class PlacedFrames:
    """Those of the newest session, 128 bytes each; of an older one, none are kept."""

    def __init__(self) -> None:
        self._lock, self._turn, self._session = threading.Lock(), 0, -1
        self._oldest_new = NEVER
        self._clear()

    def add(
        self, session: int, frame_id: int, stamp_ns: int, seen: np.ndarray, pose: np.ndarray
    ) -> None:
        """A frame with its poses [7] as odometry and as the map have it."""
        with self._lock:
            if session > self._session:
                self._session = session
                self._clear()
            if session == self._session:
                self._ids.append(frame_id)
                self._stamps.append(stamp_ns)
                self._seen.extend(seen)
                self._poses.extend(pose)
                self._oldest_new = min(self._oldest_new, stamp_ns)

    def forget(self, newer: bool = False) -> None:
        """None of them is to be moved any more; `newer`: nor others of their session."""
        with self._lock:
            self._session = self._session + 1 if newer else -1
            self._clear()

    def come_until(self, stamp_ns: int) -> bool:
        """Whether frames of this stamp or before it came since `columns` was asked last."""
        return self._oldest_new <= stamp_ns

    def columns(self) -> Columns:
        """All of them."""
        with self._lock:
            new, self._oldest_new = self._oldest_new, NEVER
            numbers = (np.array(column).reshape(-1, 7) for column in (self._seen, self._poses))
            return Columns(self._turn, new, np.array(self._ids), np.array(self._stamps), *numbers)

    def moved(
        self, columns: Columns, which: np.ndarray, poses: np.ndarray, gone: list[int]
    ) -> None:
        """Some of the columns [M], by place, have other poses [M, 7] now; `gone` are ids of frames
        that are there no more.
        """
        with self._lock:
            if self._turn != columns.turn:
                return
            kept = np.array(self._poses).reshape(-1, 7)  # more may have come
            kept[which] = poses
            there = ~np.isin(np.array(self._ids), gone)
            self._ids = array("q", np.array(self._ids)[there].tobytes())
            self._stamps = array("q", np.array(self._stamps)[there].tobytes())
            self._seen = array("d", np.array(self._seen).reshape(-1, 7)[there].tobytes())
            self._poses = array("d", kept[there].tobytes())
            self._turn += bool(gone)

    def _clear(self) -> None:
        self._turn += 1
        self._ids, self._stamps = array("q"), array("q")
        self._seen, self._poses = array("d"), array("d")
