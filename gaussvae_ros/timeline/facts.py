"""What the page knows of frames: columns of numbers, and the names that they stand for."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from gaussvae_ros.bank import Frame

NONE = 0xFFFFFFFF  # in a column of places in a list


class Names(dict):
    """Places in a list, counted up as names come."""

    def place(self, name: object) -> int:
        return self.setdefault(name, len(self))


class Facts:
    """Of the frames in the order in which they come; `columns` has them as the page shows them:
    session by session as each began, within one by stamp."""

    def __init__(self, length: int) -> None:
        """`length` of descriptors in bytes; others are not compared."""
        self._length = length
        self.cameras, self.sessions, self.frame_ids, self.sizes, self.places = (
            Names() for _ in range(5)
        )
        self._labels: dict[int, str] = {}  # by the order in which frames came
        self._descriptors = bytearray()
        self._stamps, self._numbers, self._poses = array("q"), array("d"), array("d")

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, frame: Frame, descriptor: bytes | None, picture: int | None) -> None:
        """One more frame, and where in the sheets its picture is."""
        place = NONE
        if frame.pose is not None:
            place = self.places.place((frame.map_id, frame.pose.reference))
        if frame.label is not None:
            self._labels[len(self)] = frame.label
        fits = descriptor is not None and len(descriptor) == self._length
        self._descriptors += descriptor if fits else bytes(self._length)
        pose = (*frame.pose.position, *frame.pose.orientation) if frame.pose else [np.nan] * 7
        self._poses.extend(pose)
        self._numbers.extend(
            (
                frame.id,
                self.cameras.place(frame.camera),
                self.sessions.place((frame.session, frame.map_id)),
                self.sizes.place(frame.size),
                self.frame_ids.place(frame.frame_id),
                place,
                NONE if picture is None else picture,
                len(frame.data),
                np.nan if frame.reference is None else frame.reference,
            )
        )
        self._stamps.append(frame.stamp_ns)

    def columns(self, all_ids: Sequence[int]) -> tuple[dict[str, np.ndarray], list[tuple]]:
        """The columns by name, [N] or [N, K], and the labels as (row, label), by row.

        `missing` is how many ids there are not, among `all_ids` of the file in ascending order,
        between a frame and the one with the id before it in its session; ids are given one after
        another, so that those frames were removed.
        """
        stamps = np.array(self._stamps, np.int64)
        numbers = np.array(self._numbers, np.float64).reshape(-1, 9)
        session = numbers[:, 2].astype(np.int64)
        first = [stamps[session == k].min() for k in range(len(self.sessions))]
        ids = [number for number, _ in self.sessions]
        rank = np.empty(len(ids), np.int64)
        rank[sorted(range(len(ids)), key=lambda k: (first[k], ids[k]))] = np.arange(len(ids))
        order = np.lexsort((numbers[:, 0], stamps, rank[session]))
        numbers, poses = numbers[order], np.array(self._poses).reshape(-1, 7)[order]
        names = ("camera", "session", "size", "frame_id", "place", "picture", "bytes")
        columns = {name: numbers[:, k].astype(np.uint32) for k, name in enumerate(names, 1)}
        columns["id"], columns["needs"] = numbers[:, 0].copy(), numbers[:, 8].copy()
        columns["stamp"] = stamps[order]
        columns["missing"] = _missing(columns["id"], columns["session"], all_ids)
        columns["position"], columns["turn"] = poses[:, :3].copy(), poses[:, 3:].astype(np.float32)
        descriptors = np.frombuffer(self._descriptors, np.int8).reshape(-1, self._length)
        columns["descriptor"] = descriptors[order]
        row = {came: place for place, came in enumerate(order.tolist())}
        labels = sorted((row[came], label) for came, label in self._labels.items())
        return columns, labels


def _missing(ids: np.ndarray, sessions: np.ndarray, all_ids: Sequence[int]) -> np.ndarray:
    missing = np.zeros(len(ids), np.uint32)
    order = np.argsort(ids)
    for before, after in zip(order, order[1:]):
        low, high = int(ids[before]), int(ids[after])
        if high - low > 1 and sessions[before] == sessions[after]:
            there = bisect_left(all_ids, high) - bisect_right(all_ids, low)
            missing[after] = high - low - 1 - there
    return missing
