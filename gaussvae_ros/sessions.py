"""Clocks that are set back: a bag played in a loop, a simulation that begins again."""

from gaussvae_ros.poses import SET_BACK_NS


class Sessions:
    """Which session a camera's stamp belongs to. Session 0 begins with the first stamp."""

    def __init__(self) -> None:
        self.newest = 0
        self._border = 0  # ns, halfway of the last jump: stamps after it are of the session before
        self._last: dict[str, tuple[int, int]] = {}  # camera: (its session, its last stamp)

    def number_of(self, camera: str, stamp_ns: int) -> int:
        """The session of an image that came just now.

        The first camera whose stamp is more than SET_BACK_NS before its last begins a new session. The others join it when
        their own stamps go back, or lie before the border: images that were still on their way belong to the old session.
        """
        session, last = self._last.get(camera, (self.newest, stamp_ns))
        back = stamp_ns < last - SET_BACK_NS
        if session < self.newest:
            session = self.newest if back or stamp_ns <= self._border else session
        elif back:
            session = self.newest = self.newest + 1
            self._border = (last + stamp_ns) // 2
        self._last[camera] = session, stamp_ns
        return session
