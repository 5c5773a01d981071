"""Exceptions that nobody foresaw: each is counted and logged, and the node goes on."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps

FRESH_S = 60.0  # that diagnostics call the last one an ERROR
AGAIN_S = 60.0  # between two log lines on the same kind

log = logging.getLogger(__name__)


class Faults:
    """The exceptions of one node. Any thread may note one. `count` is how many there were.

    `matters()` is False once a signal has ended the graph: what fails then fails because of that.
    """

    def __init__(self, matters: Callable[[], bool]) -> None:
        self.count, self._matters = 0, matters
        self._lock = threading.Lock()
        self._times: Counter[tuple] = Counter()  # by kind
        self._said: dict[tuple, float] = {}  # kind: s, when the log told of it last
        self._last: tuple[float, tuple, str] | None = None  # (s, kind, sentence)

    def note(self, where: str, error: Exception) -> None:
        """Count an exception. The log gets the first of its kind with the traceback, and then a
        line a minute at most.
        """
        if not self._matters():
            return
        what = " ".join(f"{type(error).__name__}: {error}".split())
        kind, now = (where, type(error), _line(error)), time.monotonic()
        with self._lock:
            self.count += 1
            self._times[kind] += 1
            times, said = self._times[kind], self._said.get(kind)
            self._last = now, kind, f"internal error in {where}: {what}"
            if said is not None and now - said < AGAIN_S:
                return
            self._said[kind] = now
        if said is None:
            log.error(
                "internal error in %s; the node goes on. Please report this:", where, exc_info=error
            )
        else:
            log.error("internal error in %s again: %s; %d times", where, what, times)

    def sentence(self) -> str:
        """What diagnostics say of the last one; empty if there was none in the last minute."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_S:
                return ""
            _, kind, what = self._last
            return f"{what}; {self._times[kind]} times; the log has the traceback; please report it"

    def guarded(
        self, where: str, callback: Callable, otherwise: Callable | None = None
    ) -> Callable:
        """`callback`, whose exceptions are noted.

        Then it returns what `otherwise(error, *arguments)` does, or None.
        """

        @wraps(callback)
        def call(*arguments: object) -> object:
            try:
                return callback(*arguments)
            except Exception as error:
                self.note(where, error)
                return None if otherwise is None else otherwise(error, *arguments)

        return call


def _line(error: Exception) -> tuple[str, int] | None:
    """Where an exception was raised: file and line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
