"""What became of the images, counted by camera and by lap of the clock. Any thread may count."""

import statistics
import threading
from collections import Counter, deque

RECENT = 100  # times that a median is of

# received = bad + paused + gated + let through; let through = dropped + failed + stored + on their way
COUNTS = ("received", "bad", "paused", "gated", "dropped", "failed", "stored", "with_pose", "poses_missing")


class Counters:
    """One for each camera, and the sums of a lap that a session keeps."""

    def __init__(self, cameras: list[str]) -> None:
        self._lock = threading.Lock()
        self._cameras = {camera: Counter() for camera in cameras}
        self._laps: dict[int, Counter] = {}
        self._times = {camera: {"encode": deque(maxlen=RECENT), "latency": deque(maxlen=RECENT)} for camera in cameras}

    def count(self, camera: str, lap: int, what: str) -> None:
        """One more of COUNTS."""
        with self._lock:
            self._cameras[camera][what] += 1
            self._laps.setdefault(lap, Counter())[what] += 1

    def took(self, camera: str, what: str, seconds: float) -> None:
        """How long the encoding of a frame took, or it was from stamp to commit: "encode" or "latency"."""
        with self._lock:
            self._times[camera][what].append(seconds)

    def of_camera(self, camera: str) -> dict[str, int]:
        """All of COUNTS so far."""
        with self._lock:
            return {what: self._cameras[camera][what] for what in COUNTS}

    def median(self, camera: str, what: str) -> float | None:
        """s, of the last RECENT times of "encode" or "latency"; None if there is none."""
        with self._lock:
            times = self._times[camera][what]
            return statistics.median(times) if times else None

    def tally(self, lap: int) -> dict[str, int]:
        """The counts that a session keeps; see MemorySession.msg."""
        with self._lock:
            counts = self._laps.get(lap, Counter())
            return {
                "received": counts["received"],
                "gated": counts["gated"],
                "dropped": counts["bad"] + counts["dropped"] + counts["failed"],
                "poses_missing": counts["poses_missing"],
            }

    def laps(self) -> list[int]:
        """Those that something was counted for and that were not forgotten, oldest first."""
        with self._lock:
            return sorted(self._laps)

    def forget(self, lap: int) -> None:
        """Drop the sums of a lap that is over."""
        with self._lock:
            self._laps.pop(lap, None)
