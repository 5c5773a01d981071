"""What became of the images, counted by camera and by session. Any thread may count."""

import statistics
import threading
from collections import Counter, deque

RECENT = 100  # times that a median is of

# received = bad + paused + gated + let through; let through = dropped + failed + refused + stored +
# on their way
ENDS = ("bad", "paused", "gated", "dropped", "failed", "refused", "stored")
COUNTS = ("received", "out_of_order", *ENDS, "with_pose", "poses_missing")


class Counters:
    """One for each camera, and the sums that a session keeps."""

    def __init__(self, cameras: list[str]) -> None:
        self._lock = threading.Lock()
        self._cameras = {camera: Counter() for camera in cameras}
        self._sessions: dict[int, Counter] = {}
        self._before: dict[
            int, Counter
        ] = {}  # session: what of that is not of the memory file that is written now
        # Numbers and bytes of stored records: of those that need others, and of those alone.
        self._records = {camera: {False: [0, 0], True: [0, 0]} for camera in cameras}
        self._times = {
            camera: {"encode": deque(maxlen=RECENT), "latency": deque(maxlen=RECENT)}
            for camera in cameras
        }

    def count(self, camera: str, session: int, what: str) -> None:
        """One more of COUNTS."""
        with self._lock:
            self._cameras[camera][what] += 1
            self._sessions.setdefault(session, Counter())[what] += 1

    def stored(self, camera: str, session: int, size: int, is_key: bool) -> None:
        """One more stored frame, whose record has `size` bytes."""
        self.count(camera, session, "stored")
        with self._lock:
            sums = self._records[camera][is_key]
            sums[0], sums[1] = sums[0] + 1, sums[1] + size

    def took(self, camera: str, what: str, seconds: float) -> None:
        """How long the encoding of a frame took, or it was from stamp to commit: "encode" or
        "latency".
        """
        with self._lock:
            self._times[camera][what].append(seconds)

    def of_camera(self, camera: str) -> dict[str, int]:
        """All of COUNTS so far."""
        with self._lock:
            return {what: self._cameras[camera][what] for what in COUNTS}

    def records(self, camera: str, are_keys: bool) -> tuple[int, float | None]:
        """How many that need no other were stored, or of the others, and their mean bytes."""
        with self._lock:
            number, size = self._records[camera][are_keys]
            return number, size / number if number else None

    def median(self, camera: str, what: str) -> float | None:
        """s, of the last RECENT times of "encode" or "latency"; None if there is none."""
        with self._lock:
            times = self._times[camera][what]
            return statistics.median(times) if times else None

    def tally(self, session: int) -> dict[str, int]:
        """The counts that a session keeps; see MemorySession.msg."""
        with self._lock:
            counts = Counter(self._sessions.get(session, ()))
            counts.subtract(self._before.get(session, ()))
            return {
                "received": counts["received"],
                "gated": counts["gated"],
                "dropped": sum(counts[end] for end in ("bad", "dropped", "failed", "refused")),
                "poses_missing": max(counts["poses_missing"], 0),
            }

    def begin_again(self, only: int | None = None, added: int = 0) -> None:
        """Another memory file, or another session of it, is written from now on: tallies are
        without the images that this is over for. `only` this session's, None is all; `added`: as
        many that do not count as stored yet are among them.
        """
        with self._lock:
            for session, counts in self._sessions.items():
                if only not in (None, session):
                    continue
                self._before[session] = Counter(
                    {**counts, "received": sum(counts[what] for what in ENDS) + added}
                )

    def sessions(self) -> list[int]:
        """Those that something was counted for and that were not forgotten, oldest first."""
        with self._lock:
            return sorted(self._sessions)

    def forget(self, session: int) -> None:
        """Drop the sums of a session that is over."""
        with self._lock:
            self._sessions.pop(session, None)
            self._before.pop(session, None)
