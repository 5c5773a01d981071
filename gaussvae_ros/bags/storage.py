"""What bag files of every kind give: connections, and their messages by record time."""

import heapq
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

CDR, ROS1 = "cdr", "ros1"  # the encodings of messages that are read
LATEST_NS = 1 << 62  # the year 2116: later record times are none
MEMORY = 256 << 20  # bytes of a file that wait for their turn, at most

Say = Callable[[str], None]  # takes a sentence on what was skipped, dropped or guessed


@dataclass(frozen=True, eq=False)
class Connection:
    """Messages of one topic and type in one file."""

    topic: str
    type: str  # as in package/msg/Name, however the file spells it
    encoding: str  # CDR, ROS1, or one that is not read
    count: int  # messages


Message = tuple[int, Connection, bytes]  # record time ns, 0 if unknown; the last may be any buffer


class Storage(Protocol):
    """One open bag file. Whatever is damaged in it costs the messages that it hits, and is said."""

    connections: list[Connection]
    start_ns: int  # not later than the first message

    def messages(self, chosen: Collection[Connection]) -> Iterator[Message]:
        """The messages of some connections by record time, as far as MEMORY allows."""

    def rest(self) -> None:
        """Let go of the open file until messages are asked for again: a bag may have many files."""

    def close(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True)
class Part:
    """Messages that are read together."""

    start_ns: int  # not later than its first message
    size: int  # of what is held while it is read, in the unit of the limit
    read: Callable[[], Iterable[Message]]  # by record time


def in_order(parts: Collection[Part], limit: int = MEMORY) -> Iterator[Message]:
    """The messages of parts that may overlap, by record time; each part is read when it is due.

    While more than `limit` is held, no further part is begun, and messages may come out of order.
    """
    waiting = deque(sorted(parts, key=lambda part: part.start_ns))
    held, heap = 0, []
    number = 0
    while waiting or heap:
        while waiting and (
            not heap or (waiting[0].start_ns <= heap[0][0] and held + waiting[0].size <= limit)
        ):
            part = waiting.popleft()
            messages = iter(part.read())
            if (first := next(messages, None)) is not None:
                heapq.heappush(heap, (first[0], number, first, messages, part.size))
                held += part.size
            number += 1
        if heap:
            _, place, message, messages, size = heap[0]
            yield message
            if (after := next(messages, None)) is None:
                heapq.heappop(heap)
                held -= size
            else:
                heapq.heapreplace(heap, (after[0], place, after, messages, size))


def settled(times: Iterable[int]) -> list[int]:
    """Record times, ns, in the order of a file; what is none becomes the time before it."""
    times = list(times)
    last = next((t for t in times if 0 < t < LATEST_NS), 0)
    for i, t in enumerate(times):
        last = times[i] = t if 0 < t < LATEST_NS else last
    return times


def type_name(name: str) -> str:
    """A message type as package/msg/Name: sensor_msgs/Image, sensor_msgs::msg::dds_::Image_, ..."""
    parts = [part for part in re.split(r"/|::", name) if part]
    return f"{parts[0]}/msg/{parts[-1].rstrip('_')}" if len(parts) > 1 else name


def size_text(count: int) -> str:
    """A number of bytes for people."""
    return f"{count:,} bytes" if count < 10_000 else f"{count / 1e3:,.0f} KB"


def breaks_off(last_ns: int) -> str:
    """What to say of a file without an end."""
    when = f"after {last_ns / 1e9:.3f} s of record time" if last_ns else "before its first message"
    return f"it breaks off {when}: its recording was cut short, or its rest is missing"
