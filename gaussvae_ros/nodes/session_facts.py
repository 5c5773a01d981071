"""The sessions of one recording in the bank, and what it keeps once for each: calibrations,
counts.
"""

import time
from collections.abc import Callable

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.nodes.counters import Counters

LIVE = 16  # sessions, used last, whose counts are kept: clocks that alternate go back to theirs


class SessionFacts:
    """Begins sessions as frames come, and tells the bank of them.

    `name` is that of the sessions, empty for the time at which each begins. `attempt(work)` says
    whether the bank took something; `due`: it refused, and `write` is to be called again.
    `added(session)` is how many frames the bank has that do not count as stored yet.
    """

    def __init__(
        self,
        bank: MemoryBank,
        counters: Counters,
        name: str,
        attempt: Callable[[Callable[[], None]], bool],
        added: Callable[[int], int] = lambda session: 0,
    ) -> None:
        self._bank, self._counters, self._name, self._attempt = bank, counters, name, attempt
        self._added = added
        self._ids: dict[int, int] = {}  # session: its id in the bank
        self._tallies: dict[int, dict[str, int]] = {}  # session: what the bank has
        self._maps: dict[int, str] = {}  # session: the map that the bank has for it
        # Those of which no frame knew the map yet: `name_map` comes before frames that wait.
        self._named_late: set[int] = set()
        self._map_id = ""  # the last one that was named
        self._calibrations: dict[str, dict] = {}
        self.due = False

    def begin_again(self) -> None:
        """Another file is open, which has none of the sessions."""
        self._ids.clear()
        self._tallies.clear()
        self._maps.clear()
        self._named_late.clear()

    def id_of(self, session: int, stamp_ns: int, map_id: str = "") -> int:
        """The bank's id of a session that a frame of this stamp and map goes into; with another map
        the bank has another one.
        """
        known = self._maps.get(session)
        if known and known != map_id and (map_id or session not in self._named_late):
            self._end(session)
        elif map_id:
            self._named_late.discard(session)
            if known == "":
                self._bank.set_map(self._ids[session], map_id)
                self._maps[session] = map_id
        if session in self._ids:
            if session != next(reversed(self._ids)):
                self._ids[session] = self._ids.pop(session)  # the one used last is the last
                self._try(self._calibrate)
        else:
            self._tally()
            for old in list(self._ids)[:-LIVE]:
                self._counters.forget(old)
                self._tallies.pop(old, None)
                self._named_late.discard(old)
                del self._ids[old], self._maps[old]
            name = self._name or time.strftime("%Y-%m-%d %H:%M:%S")
            self._ids[session] = self._bank.begin_session(name, start_ns=stamp_ns, map_id=map_id)
            self._maps[session] = map_id
            self._try(self._calibrate)
            self._try(self._name_map)
        return self._ids[session]

    def latest(self, stamp_ns: int, map_id: str = "") -> int:
        """The bank's id of the session that frames go into now, or will."""
        return self.id_of(next(reversed(self._ids), 0), stamp_ns, map_id)

    def name_map(self, map_id: str) -> None:
        """The map of the sessions that did not know theirs."""
        self._map_id = map_id
        self._try(self._name_map)

    def calibrate(self, camera: str, calibration: dict) -> None:
        """Keep a camera's calibration with the sessions that frames go into from now on."""
        self._calibrations[camera] = calibration
        self._try(self._calibrate)

    def tally(self) -> None:
        """Write what the sessions counted, where it changed."""
        self._try(self._tally)

    def write(self) -> None:
        """Write all that changed. Raises BankError."""
        self._calibrate()
        self._name_map()
        self._tally()
        self.due = False

    def _end(self, session: int) -> None:
        """The bank's session is over; what is on its way counts in the next."""
        counted = self._counters.tally(session)
        self._counters.begin_again(session, self._added(session))
        rest = self._counters.tally(session)
        tally = {what: count - rest[what] for what, count in counted.items()}
        bank_session = self._ids.pop(session)
        del self._maps[session]
        self._named_late.discard(session)
        self._tallies.pop(session, None)
        self._attempt(lambda: self._bank.set_tally(bank_session, tally))

    def _try(self, work: Callable[[], None]) -> None:
        self.due |= not self._attempt(work)

    def _calibrate(self) -> None:
        for session in list(self._ids.values())[-1:]:
            for camera, calibration in self._calibrations.items():
                self._bank.set_calibration(camera, calibration, session=session)

    def _name_map(self) -> None:
        for session, known in self._maps.items():
            if not known and self._map_id:
                self._bank.set_map(self._ids[session], self._map_id)
                self._maps[session] = self._map_id
                self._named_late.add(session)

    def _tally(self) -> None:
        for session, bank_session in self._ids.items():
            tally = self._counters.tally(session)
            if tally != self._tallies.get(session):
                self._bank.set_tally(bank_session, tally)
                self._tallies[session] = tally
