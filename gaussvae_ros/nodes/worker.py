"""One thread that works on jobs as they come, never more than a few behind."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
RETRY_S = 0.5  # after a commit that failed
LOOK_S = 0.1  # between two looks at whether to wait on

log = logging.getLogger(__name__)


def _log(where: str, error: Exception) -> None:
    log.error("%s failed", where, exc_info=error)


class Worker(Generic[T]):
    """Calls `work(job)` for each job, and `commit()` when the last commit was at least `period`
    seconds ago.

    Each lane has a queue of `size` jobs; one more drops the lane's oldest, with `dropped(job)`, so
    that a lane that is in a hurry takes nothing from the others. Jobs of all lanes are done in the
    order that they came in. `commit` says whether it succeeded; if not, it is called again soon.
    `size` and `period` may be changed at any time. What a job or a commit raises goes to
    `failed(where, error)`, and costs only itself.
    """

    def __init__(
        self,
        work: Callable[[T], None],
        commit: Callable[[], bool],
        dropped: Callable[[T], None],
        size: int = 2,
        period: float = 0.1,
        failed: Callable[[str, Exception], None] = _log,
    ) -> None:
        self.size, self.period = size, period
        self._work, self._commit, self._dropped, self._failed = work, commit, dropped, failed
        self._jobs: deque[tuple[str, T]] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._drains: deque[threading.Event] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._uncommitted = False
        self._commit_at = time.monotonic()  # not before
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def put(self, lane: str, job: T, most: int | None = None) -> None:
        """Queue a job; `most` is a size of the lane's queue that holds if it is less than
        `size`.
        """
        size = self.size if most is None else min(self.size, most)
        with self._changed:
            places = [i for i, (other, _) in enumerate(self._jobs) if other == lane]
            late = [self._jobs[i][1] for i in places[: max(len(places) + 1 - size, 0)]]
            for i in reversed(places[: len(late)]):
                del self._jobs[i]
            self._jobs.append((lane, job))
            self._changed.notify()
        for one in late:
            self._dropped(one)

    def call(self, function: Callable[[], None]) -> None:
        """Let the thread call a function before the jobs that wait. It is never dropped, and a
        commit follows.
        """
        with self._changed:
            self._calls.append(function)
            self._changed.notify()

    def ask(self, function: Callable[[], object]) -> Future:
        """`call`, with what the function gives or raises."""
        asked: Future = Future()

        def answer() -> None:
            try:
                asked.set_result(function())
            except Exception as error:
                asked.set_exception(error)

        self.call(answer)
        return asked

    def drain(self, timeout: float, waits: Callable[[], bool] = lambda: True) -> bool:
        """Wait until nothing waits any more and all is committed, or the commit failed.

        False if that takes longer than `timeout` s, or than `waits()` says True: jobs that wait
        still are dropped, and the one at hand is done when it is done.
        """
        done, end = threading.Event(), time.monotonic() + timeout
        with self._changed:
            if self._ended:
                return True
            self._drains.append(done)
            self._changed.notify()
        while waits() and (left := end - time.monotonic()) > 0:
            if done.wait(min(left, LOOK_S)):
                return True
        with self._changed:
            late = [job for _, job in self._jobs]
            self._jobs.clear()
            self._changed.notify()
        for job in late:
            self._dropped(job)
        return done.is_set()

    def stop(self, timeout: float) -> bool:
        """`drain`, and end the thread; if False, it ends when it is done with its last job."""
        drained = self.drain(timeout)
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(timeout if drained else 0)
        return drained

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except Exception as error:  # of one job, which must not cost those after it
                self._failed("the worker's thread", error)

    def _next(self) -> Callable[[], None] | None:
        """Wait for what is to be done next; None ends the thread."""
        with self._changed:
            while not self._ended:
                wait = self._commit_at - time.monotonic() if self._uncommitted else None
                if wait is not None and wait <= 0:
                    return self._try_commit
                if self._calls or self._jobs:
                    self._uncommitted = True
                    return (
                        self._calls.popleft()
                        if self._calls
                        else partial(self._work, self._jobs.popleft()[1])
                    )
                if self._drains:
                    return self._finish
                self._changed.wait(wait)
        return None

    def _try_commit(self) -> None:
        committed = False
        try:
            committed = self._commit()
        finally:
            self._uncommitted = not committed
            self._commit_at = time.monotonic() + (
                self.period if committed else max(self.period, RETRY_S)
            )

    def _finish(self) -> None:
        """Commit for those who wait in `drain`."""
        with self._changed:
            waiting = list(self._drains)
            self._drains.clear()
        try:
            if self._uncommitted:
                self._try_commit()
        finally:
            for done in waiting:
                done.set()
