"""Pictures looked at beside other work: in a process of its own, that gives way to all others, a
picture a second at most.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Generic, TypeVar

import numpy as np

from gaussvae_ros.looking.looks import Found, Looks

T = TypeVar("T")
PERIOD_S = 1.0  # from one picture to the next, at least
AGAIN_S = 60.0  # after which a process that ended is started again
END_S = 1.0  # that the process has to end by itself

log = logging.getLogger(__name__)


class Background(Generic[T]):
    """Looks at pictures that are offered, and calls `found(tag, what)` for each that it had the
    time for, in a thread of its own.

    Of each lane, such as a camera, only the picture offered last waits; lanes take turns.
    """

    def __init__(
        self, looks: Looks, found: Callable[[T, Found], None], period: float = PERIOD_S
    ) -> None:
        self._looks, self._found, self._period = looks, found, period
        self._waiting: dict[str, tuple[T, np.ndarray]] = {}
        self._turns: dict[str, float] = {}  # when a picture of each lane was taken last
        self._changed = threading.Condition()
        self._process: subprocess.Popen | None = None
        self._not_before = 0.0  # s, monotonic, before which none is started
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="looking", daemon=True)
        self._thread.start()

    def offer(self, lane: str, tag: T, image: np.ndarray) -> None:
        """Take a picture, uint8 [H, W, 3] RGB or [H, W], if there is time for it; never waits. The
        picture must not change any more.
        """
        with self._changed:
            self._waiting[lane] = tag, image
            self._changed.notify()

    def close(self, timeout: float = END_S) -> None:
        """End, also what is looked at now."""
        with self._changed:
            self._ended = True
            self._changed.notify()
            process = self._process
        if process is not None:
            process.kill()
        self._thread.join(timeout)

    # Inside

    def _run(self) -> None:
        due = 0.0
        while (job := self._next(due)) is not None:
            due = time.monotonic() + self._period
            tag, image = job
            try:
                found = self._look(image)
            except (OSError, ValueError, subprocess.TimeoutExpired) as error:
                if not self._ended:
                    log.error("pictures are not looked at for %g s: %s", AGAIN_S, error)
                self._not_before = time.monotonic() + AGAIN_S
                self._stop()
                continue
            if found is not None:
                self._found(tag, found)
        self._stop()

    def _next(self, due: float) -> tuple[T, np.ndarray] | None:
        """Wait for the next picture, until `due` at least; None ends the thread."""
        with self._changed:
            while not self._ended:
                wait = max(due, self._not_before) - time.monotonic()
                if self._waiting and wait <= 0:
                    lane = min(self._waiting, key=lambda lane: self._turns.get(lane, 0.0))
                    self._turns[lane] = time.monotonic()
                    return self._waiting.pop(lane)
                self._changed.wait(wait if self._waiting else None)
        return None

    def _look(self, image: np.ndarray) -> Found | None:
        """Have a picture looked at. None where it cannot be, which the log says."""
        process = self._process or self._start()
        try:
            process.stdin.write(json.dumps(image.shape).encode() + b"\n")
            process.stdin.write(np.ascontiguousarray(image))
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            process.wait(END_S)
            raise OSError(self._last_words() or f"the process ended with {process.returncode}")
        answer = json.loads(line)
        if "error" in answer:
            log.warning("a picture could not be looked at: %s", answer["error"])
            return None
        return Found.of_json(answer)

    def _start(self) -> subprocess.Popen:
        command = (
            sys.executable,
            "-m",
            "gaussvae_ros.looking.child",
            json.dumps(asdict(self._looks)),
        )
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._errors = tempfile.TemporaryFile()
        with self._changed:
            if self._ended:
                raise OSError("closed")
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            )
        return self._process

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for file in (process.stdout, self._errors):
            file.close()
        try:
            process.stdin.close()
        except OSError:  # of what it did not take
            pass
