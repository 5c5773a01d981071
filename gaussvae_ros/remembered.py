"""What was worked out last, within a limit of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
OBJECTS = 1000  # bytes that Python's objects around one value take, at most


class Remembered(Generic[T]):
    """Values by key; those used least recently go when all take more than `limit` bytes.

    May be used from any number of threads.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._held, self._bytes = limit, OrderedDict(), 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What the values take now."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of a key, which `make()` gives where it is not remembered; `size` in bytes."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
        value = make()
        taken = size(value) + OBJECTS
        with self._lock:
            if taken <= self._limit and key not in self._held:
                self._held[key] = value, taken
                self._bytes += taken
                while self._bytes > self._limit:
                    self._bytes -= self._held.popitem(last=False)[1][1]
        return value
