"""Where a frame is, as one number: the cell of space, or without a pose of time, that it is in.

Cells double in size from level to level. Those of level 0 are 0.5 m wide and 2 m high, and frames
in them are told apart by their heading, too, in eighths of a turn; those of level 1 are as large
without the heading, those of level 2 are 1 m wide, and so on. Frames without a pose share a cell
with those of their camera and session in the same 2 s, from level 2 on 4 s, and so on.
"""

import math
from dataclasses import dataclass, field

WIDTH, HEIGHT = 0.5, 2.0  # m, of a cell of levels 0 and 1
SPAN_NS = 2 * 10**9  # ns, likewise
SECTORS = 8
LAST_LEVEL = 36  # where every place, or time, is in one cell of eight around zero
_BITS = 36  # of each index, around zero
_MIDDLE = 1 << (_BITS - 1)
_MASK = (1 << _BITS) - 1

Pose = tuple[float, ...]  # x, y, z (m), qx, qy, qz, qw


@dataclass
class Cells:
    """The numbers of cells, of one level at a time. A number says which map, or which camera and
    session, the cell is in, by the order in which those were met.
    """

    level: int = 0
    areas: list[tuple] = field(default_factory=list)
    _numbers: dict[tuple, int] = field(default_factory=dict)

    def of_pose(self, map_id: str, reference: str, pose: Pose) -> int:
        """The cell of a frame with a pose in this map and coordinate frame."""
        x, y, z, *rotation = pose
        width, height = self._scaled(WIDTH), self._scaled(HEIGHT)
        at = math.floor(x / width), math.floor(y / width), math.floor((z + HEIGHT / 2) / height)
        return self._packed((map_id, reference), at, 0 if self.level else _sector(*rotation))

    def of_stamp(self, session: int, camera: str, stamp_ns: int) -> int:
        """The cell of a frame without a pose."""
        at = stamp_ns // int(self._scaled(SPAN_NS)), 0, 0
        return self._packed((session, camera, None), at, 0)

    def larger(self, cell: int) -> int:
        """The cell of the next level that this one is in."""
        area, at, _ = self._unpacked(cell)
        return _pack(area, [index >> (self.level > 0) for index in at], 0)

    def box(self, cell: int) -> tuple[tuple, list[tuple[float, float]]]:
        """The area of a cell, and from where to where it goes on each axis: (map, coordinate
        frame) and x, y, z in m, or (session, camera, None) and the time in ns.
        """
        number, at, _ = self._unpacked(cell)
        area = self.areas[number]
        if len(area) == 3:
            span = int(self._scaled(SPAN_NS))
            return area, [(at[0] * span, (at[0] + 1) * span - 1)]
        sizes = [self._scaled(size) for size in (WIDTH, WIDTH, HEIGHT)]
        starts = (0, 0, -HEIGHT / 2)
        return area, [
            (start + size * index, start + size * (index + 1))
            for start, size, index in zip(starts, sizes, at)
        ]

    @property
    def width(self) -> float:
        """m."""
        return self._scaled(WIDTH)

    def _scaled(self, size: float) -> float:
        return size * 2 ** max(self.level - 1, 0)

    def _packed(self, area: tuple, at: tuple[int, int, int], sector: int) -> int:
        number = self._numbers.get(area)
        if number is None:
            number = self._numbers[area] = len(self.areas)
            self.areas.append(area)
        return _pack(number, at, sector)

    @staticmethod
    def _unpacked(cell: int) -> tuple[int, list[int], int]:
        sector, cell = cell % SECTORS, cell // SECTORS
        at = [(cell >> (_BITS * i) & _MASK) - _MIDDLE for i in range(3)]
        return cell >> (3 * _BITS), at, sector


def _pack(area: int, at, sector: int) -> int:
    for index in reversed(at):
        area = area << _BITS | (index + _MIDDLE)
    return area * SECTORS + sector


def _sector(qx: float, qy: float, qz: float, qw: float) -> int:
    """Which eighth of a turn the x axis points to, seen from above."""
    yaw = math.atan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz))
    return math.floor(yaw / (2 * math.pi) * SECTORS) % SECTORS
