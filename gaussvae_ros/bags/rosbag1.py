"""Files of ROS 1 (.bag), whole or not: by their index if it is true, else record by record."""

import re
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gaussvae_ros.bags.raw import LARGEST, RawFile, unpack
from gaussvae_ros.bags.storage import (
    ROS1,
    Connection,
    Message,
    Part,
    Say,
    breaks_off,
    in_order,
    settled,
    size_text,
    type_name,
)
from gaussvae_ros.errors import BagError

MAGIC = b"#ROSBAG V"
VERSION = b"#ROSBAG V2.0\n"
OLDER = re.compile(rb"#ROSBAG V([01]\.\d)\n")
DATA, BAG, CHUNK, CHUNK_INFO, CONNECTION = 2, 3, 5, 6, 7  # kinds of records
HEADER = 1 << 20  # bytes of a record's header, at most
FIELD = rb".{4}(?:op=\x05|compression=\w+|size=.{4})"
CHUNK_HEADER = re.compile(rb"(?=.{4}" + FIELD * 3 + rb")", re.DOTALL)


@dataclass
class Chunk:
    """Messages that were written together."""

    position: int
    length: int  # bytes of the record
    start_ns: int = 0
    size: int = 0  # bytes when unpacked
    counts: Counter[int] = field(default_factory=Counter)  # messages by connection


@dataclass(frozen=True)
class Record:
    fields: dict[bytes, bytes]
    data: int  # where its data begin
    length: int  # bytes of them
    end: int

    @property
    def kind(self) -> int:
        return self.number(b"op")

    def number(self, name: bytes) -> int:
        """An unsigned number; -1 if it is not there."""
        return int.from_bytes(self.fields[name], "little") if name in self.fields else -1


class Rosbag1File:
    """A rosbag1 file, see `Storage`.

    Raises:
        BagError: another version, encrypted, or nothing in it can be read.
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._name, self._say, self._file = path.name, say, RawFile(path)
        self._found: dict[int, tuple[str, str]] = {}  # topic and type by number
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise
        self._connections = {
            n: Connection(*found, ROS1, self._counts[n]) for n, found in self._found.items()
        }
        self.connections = list(self._connections.values())
        self.start_ns = min((chunk.start_ns for chunk in self._chunks), default=0)

    def rest(self) -> None:
        self._file.close()

    def close(self) -> None:
        self.rest()

    def messages(self, chosen: Collection[Connection]) -> Iterator[Message]:
        wanted = {number: c for number, c in self._connections.items() if c in chosen}
        chunks = [chunk for chunk in self._chunks if not wanted.keys().isdisjoint(chunk.counts)]
        yield from in_order(
            [Part(c.start_ns, c.size, partial(self._read, c, wanted)) for c in chunks]
        )

    def _open(self) -> None:
        begin = self._file.read(0, len(VERSION))
        if not begin:
            raise BagError(f"{self._name} is empty")
        if old := OLDER.match(begin):
            version = old[1].decode()
            remedy = "rosbag fix in ROS 1 makes it 2.0"
            raise BagError(f"{self._name} is of version {version}: {remedy}")
        head = self._record(len(VERSION)) if begin == VERSION else None
        if head and head.fields.get(b"encryptor"):
            raise BagError(f"{self._name} is encrypted")
        if head is None or head.kind != BAG or not self._by_index(head):
            self._by_walking(head.end if head and head.kind == BAG else len(begin))
            if begin != VERSION and not self._chunks:
                raise BagError(
                    "it begins as no rosbag1 file does, and has no message that can be read"
                )

    def _by_index(self, head: Record) -> bool:
        """Take all from the index at the end; whether it is there, whole and true."""
        position, infos = head.number(b"index_pos"), []
        if not len(VERSION) < position <= self._file.size:
            return False
        while position < self._file.size and (record := self._record(position)):
            if record.kind == CONNECTION:
                self._learn(record.fields, self._file.read(record.data, record.length))
            elif record.kind == CHUNK_INFO:
                infos.append(record)
            position = record.end
        expected = head.number(b"chunk_count"), head.number(b"conn_count")
        if position != self._file.size or expected != (len(infos), len(self._found)):
            return False
        for info in infos:
            pairs = self._file.read(info.data, info.length)
            counts = dict(struct.iter_unpack("<II", pairs[: len(pairs) // 8 * 8]))
            chunk = self._record(info.number(b"chunk_pos"))
            if chunk is None or chunk.kind != CHUNK or not counts.keys() <= self._found.keys():
                return False
            if 0 in counts.values():
                return False
            self._counts.update(counts)
            start_ns = _time(info.fields.get(b"start_time", b""))
            size = max(chunk.number(b"size"), chunk.length)
            begin = info.number(b"chunk_pos")
            self._chunks.append(Chunk(begin, chunk.end - begin, start_ns, size, Counter(counts)))
        return True

    def _by_walking(self, position: int) -> None:
        """Find the chunks one after the other, and count what can be read in them."""
        self._found, self._chunks = {}, []
        self._counts.clear()
        broken, places = False, []
        while position < self._file.size:
            record = self._record(position)
            if record and record.kind == CHUNK:
                places.append((position, record.end - position))
            if record:
                position = record.end
                continue
            after = next(self._file.search(CHUNK_HEADER, position + 1, 100), self._file.size)
            broken = after == self._file.size
            head = self._header(position)
            if head and head[0].get(b"op") == bytes([CHUNK]):
                places.append((position, after - position))
            elif not broken:
                what = f"{size_text(after - position)} at byte {position:,}"
                self._say(f"{what} are damaged, and left out")
            position = after
        last_ns = 0
        for begin, length in places:
            chunk, times = Chunk(begin, length), []
            for number, time, _ in self._messages_in(chunk):
                self._counts[number] += 1
                chunk.counts[number] += 1
                times.append(time)
            if times:
                chunk.start_ns = min(settled(times))
                last_ns = max(last_ns, *times)
                self._chunks.append(chunk)
        if broken:
            self._say(breaks_off(last_ns))
        else:
            self._say("it has no index, or a damaged one, and is read from one end to the other")

    def _learn(self, fields: dict[bytes, bytes], data: bytes) -> None:
        """Take a connection from its record."""
        about = _fields(data) or {}
        topic, kind = about.get(b"topic") or fields.get(b"topic", b""), about.get(b"type", b"")
        name = re.sub("/+", "/", fields.get(b"topic", topic).decode(errors="replace"))
        number = int.from_bytes(fields.get(b"conn", b""), "little")
        self._found.setdefault(number, (name, type_name(kind.decode(errors="replace"))))

    def _header(self, position: int) -> tuple[dict[bytes, bytes], int] | None:
        """The header fields of a record, and where they end; None where none can be."""
        size = int.from_bytes(self._file.read(position, 4), "little")
        data = self._file.read(position + 4, size) if 0 < size <= HEADER else b""
        fields = _fields(data) if 0 < len(data) == size else None
        return (
            (fields, position + 4 + size) if fields and len(fields.get(b"op", b"")) == 1 else None
        )

    def _record(self, position: int) -> Record | None:
        """The record at a place; None where none can be, or it is cut short."""
        if (header := self._header(position)) is None:
            return None
        fields, end = header
        length = int.from_bytes(self._file.read(end, 4), "little")
        if end + 4 + length > self._file.size:
            return None
        return Record(fields, end + 4, length, end + 4 + length)

    def _messages_in(self, chunk: Chunk) -> Iterator[tuple[int, int, memoryview]]:
        """(connection, record time ns, data) of a chunk's messages; of a damaged one none."""
        header, data, fault = self._header(chunk.position), b"", "its head is not one"
        end = chunk.position + chunk.length
        if header:
            fields, begin = header
            packed = self._file.read(begin + 4, end - begin - 4)
            size = int.from_bytes(fields.get(b"size", b""), "little") or LARGEST
            compression = fields.get(b"compression", b"").decode(errors="replace")
            data, fault = unpack(packed, compression, size)
            if chunk.counts and not data:
                fault = fault or "it is empty"
        if fault:
            what = f"a chunk of {size_text(chunk.length)} at byte {chunk.position:,} is damaged"
            lost = f" with {chunk.counts.total():,} messages" if chunk.counts else ""
            self._say(f"{what} ({fault}), and left out{lost}")
            return
        chunk.size, position, odd = len(data), 0, 0
        for fields, content, end_of_record in _records(data):
            position = end_of_record
            kind = fields.get(b"op")
            number = int.from_bytes(fields.get(b"conn", b""), "little")
            if kind == bytes([CONNECTION]):
                self._learn(fields, bytes(content))
            elif kind == bytes([DATA]) and number in self._found:
                yield number, _time(fields.get(b"time", b"")), content
            else:
                odd += 1
        if odd:
            what = f"{odd:,} records in the chunk at byte {chunk.position:,} are damaged"
            self._say(f"{what}, and left out")
        if position < len(data) and end < self._file.size:
            what = f"a chunk at byte {chunk.position:,} breaks off"
            self._say(f"{what}, its rest is left out")

    def _read(self, chunk: Chunk, wanted: dict[int, Connection]) -> list[Message]:
        """A chunk's messages of some connections, by record time."""
        rows = list(self._messages_in(chunk))
        times = settled([time for _, time, _ in rows])
        pairs = zip(times, rows)
        found = [(t, wanted[row[0]], row[2]) for t, row in pairs if row[0] in wanted]
        there, expected = Counter(row[0] for row in rows), chunk.counts
        if rows and any(there[number] < expected[number] for number in wanted):
            what = f"the chunk at byte {chunk.position:,} holds fewer messages than its index says"
            self._say(what)
        return sorted(found, key=lambda message: message[0])


def _fields(data: bytes | memoryview) -> dict[bytes, bytes] | None:
    """The named values of a header; None if they are damaged."""
    found, position = {}, 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "little")
        name, equals, value = bytes(data[position + 4 : position + 4 + size]).partition(b"=")
        position += 4 + size
        if not equals or position > len(data):
            return None
        found[name] = value
    return found


def _records(data: bytes) -> Iterator[tuple[dict[bytes, bytes], memoryview, int]]:
    """(header, data, where it ends) of records one after the other, up to one that is not whole."""
    view, position = memoryview(data), 0
    while position < len(data):
        begin = position + 4 + int.from_bytes(view[position : position + 4], "little")
        fields = _fields(view[position + 4 : begin]) if begin + 4 <= len(data) else None
        if fields is None:
            return
        position = begin + 4 + int.from_bytes(view[begin : begin + 4], "little")
        if position > len(data):
            return
        yield fields, view[begin + 4 : position], position


def _time(value: bytes) -> int:  # ns
    seconds, nanoseconds = struct.unpack("<II", value) if len(value) == 8 else (0, 0)
    return seconds * 1_000_000_000 + nanoseconds
