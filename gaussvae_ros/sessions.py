"""Which session a stamp belongs to: clocks that are set back, late images, two clocks on a
topic.
"""

from dataclasses import dataclass, field

SLACK_NS = 50_000_000  # a stamp so little before the newest is in order: drivers jitter
LATE_NS = 3_000_000_000  # a stamp further back than this is no late image: a clock was set back
IN_A_ROW = 3  # stamps that go on behind the newest: then a smaller step was one of the clock, too
# A clock's next step is at most so many times its last one, and so many times one of another clock.
STEPS = 2
DOUBTFUL = 10  # times as many, once a clock that seemed to be set back went on soon after
CLOCKS = 3  # a camera that are told apart


@dataclass(eq=False)
class Clock:
    """A run of stamps that count up, of one camera in one session."""

    session: int
    last: int  # ns, its newest stamp, but for one that was ahead of its time
    before: int  # ns, the one before that

    def go_on(self, stamp_ns: int) -> None:
        """Take a stamp that is not behind."""
        if stamp_ns > self.last:
            self.last, self.before = stamp_ns, self.last


@dataclass
class _Camera:
    clocks: list[Clock]  # the one that its last image had first
    behind: list[int] = field(default_factory=list)  # ns, the stamps in a row that stayed behind
    mixed: bool = False  # whether its clocks alternate
    in_a_row: int = IN_A_ROW
    ahead: int = 0  # ns, where the clock was that `in_a_row` stamps took the place of
    watched: int = 0  # images since, of which none was there yet


class Sessions:
    """Which session a camera's stamp belongs to. Session 0 begins with the first stamp.

    A step back begins a session at once if it is one of more than LATE_NS, else when IN_A_ROW
    stamps have gone on from there; those before the last of them stay in the session before. A
    single image that comes late belongs to the session of those around it, and so does one whose
    stamp is ahead of its time. Where two clocks alternate, as two publishers on one topic make
    them, each keeps its session.
    """

    def __init__(self) -> None:
        self.newest = 0
        self._border = 0  # ns, halfway of the last jump: stamps after it are of the session before
        self._reached = 0  # ns, the newest stamp of the newest session
        self._cameras: dict[str, _Camera] = {}

    def number_of(self, camera: str, stamp_ns: int) -> int:
        """The session of an image that came just now."""
        return self.clock_of(camera, stamp_ns).session

    def clock_of(self, camera: str, stamp_ns: int) -> Clock:
        """The clock of an image that came just now, the same object for all of that clock."""
        seen = self._cameras.get(camera)
        if seen is not None and seen.watched:
            seen.watched -= 1
            if stamp_ns > seen.ahead:
                seen.in_a_row, seen.watched = DOUBTFUL * IN_A_ROW, 0
        if seen is None:
            seen = self._cameras[camera] = _Camera([])
            clock = self._turn(seen, self._begun(stamp_ns))
        elif (known := _other(seen, stamp_ns)) is not None:
            seen.mixed = True
            clock = self._turn(seen, known)
        elif self._joins(seen.clocks, stamp_ns):
            clock = self._turn(seen, self._begun(stamp_ns))
        else:
            clock = self._same(seen, stamp_ns)
        clock.go_on(stamp_ns)
        if clock.session == self.newest:
            self._reached = max(self._reached, clock.last)
        return clock

    def _same(self, seen: _Camera, stamp_ns: int) -> Clock:
        """The clock that a camera has had, or a new session's."""
        clock = seen.clocks[0]
        step = stamp_ns - clock.last
        if step > 0 or (step >= -SLACK_NS and not seen.behind):
            seen.behind.clear()
        elif stamp_ns > clock.before and not seen.behind:  # the one between was ahead of its time
            clock.last = stamp_ns
        else:
            if seen.behind and not 0 < stamp_ns - seen.behind[-1] <= LATE_NS:
                seen.behind.clear()
            seen.behind.append(stamp_ns)
            lasts = len(seen.behind) >= seen.in_a_row
            if lasts:
                seen.mixed, seen.ahead, seen.watched = False, clock.last, DOUBTFUL
            if lasts or (step < -LATE_NS and not seen.mixed):
                self.newest += 1
                self._border, self._reached = (clock.last + stamp_ns) // 2, stamp_ns
                return self._turn(seen, self._begun(stamp_ns))
        return clock

    def _joins(self, clocks: list[Clock], stamp_ns: int) -> bool:
        """Whether a camera that was not in the newest session yet joins it with this stamp."""
        if any(clock.session == self.newest for clock in clocks):
            return False
        behind = clocks[0].last - stamp_ns
        return stamp_ns <= self._border or SLACK_NS < behind > abs(stamp_ns - self._reached)

    def _begun(self, stamp_ns: int) -> Clock:
        return Clock(self.newest, stamp_ns, stamp_ns)

    def _turn(self, seen: _Camera, clock: Clock) -> Clock:
        seen.behind.clear()
        seen.clocks = [clock, *(other for other in seen.clocks if other is not clock)][:CLOCKS]
        return clock


def _other(seen: _Camera, stamp_ns: int) -> Clock | None:
    """The earlier clock of a camera that a stamp fits better than its last one, or None."""
    clock, *others = seen.clocks
    step = stamp_ns - clock.last
    if 0 <= step <= STEPS * (clock.last - clock.before):
        return None
    fitting = [other for other in others if 0 < STEPS * (stamp_ns - other.last) < abs(step)]
    return min(fitting, key=lambda other: stamp_ns - other.last, default=None)
