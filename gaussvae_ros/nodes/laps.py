"""Clocks that are set back: a bag played in a loop, a simulation that begins again."""

from gaussvae_ros.poses import SET_BACK_NS


class Laps:
    """Which run of the clock a camera's stamp belongs to. Lap 0 begins with the first stamp."""

    def __init__(self) -> None:
        self.newest = 0
        self._border = 0  # ns, halfway of the last jump: stamps after it are of the lap before
        self._last: dict[str, tuple[int, int]] = {}  # camera: (its lap, its last stamp)

    def of(self, camera: str, stamp_ns: int) -> int:
        """The lap of an image that came just now.

        The first camera whose stamp is more than SET_BACK_NS before its last begins a new lap. The others join it when
        their own stamps go back, or lie before the border: images that were still on their way belong to the old lap.
        """
        lap, last = self._last.get(camera, (self.newest, stamp_ns))
        back = stamp_ns < last - SET_BACK_NS
        if lap < self.newest:
            lap = self.newest if back or stamp_ns <= self._border else lap
        elif back:
            lap = self.newest = self.newest + 1
            self._border = (last + stamp_ns) // 2
        self._last[camera] = lap, stamp_ns
        return lap
