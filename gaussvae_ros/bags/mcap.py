"""MCAP files, whole or not: by their summary where it is true, else record after record."""

import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Footer, Schema, Statistics

from gaussvae_ros.bags.mcap_records import (
    HEAD,
    LEAST,
    MAGIC,
    MESSAGE,
    McapBytes,
    parse,
    record_time,
    records_in,
    unpack_chunk,
)
from gaussvae_ros.bags.storage import (
    CDR,
    LATEST_NS,
    MEMORY,
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

LONGEST = MEMORY  # bytes of a summary
RUN = 4 << 20  # bytes of messages outside chunks that are read at a time


@dataclass
class Block:
    """A chunk, or messages one after the other outside chunks."""

    position: int
    length: int
    is_chunk: bool
    start_ns: int = 0
    size: int = 0  # bytes when unpacked
    channels: Collection[int] = field(default_factory=set)  # empty: unknown


class McapFile:
    """An MCAP file, see `Storage`.

    Raises:
        BagError: nothing in it is MCAP.
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._name, self._say, self._file = path.name, say, McapBytes(path)
        self._whole = self._file.read(0, len(MAGIC)) == MAGIC
        try:
            if self._by_summary() is None:
                self._by_walking()
            known = self._channels.items()
            self._connections = {number: self._connection(channel) for number, channel in known}
        except BaseException:
            self._file.close()
            raise
        self.connections = list(self._connections.values())
        self.start_ns = min((block.start_ns for block in self._blocks), default=0)

    def close(self) -> None:
        self._file.close()

    def messages(self, chosen: Collection[Connection]) -> Iterator[Message]:
        wanted = {number: c for number, c in self._connections.items() if c in chosen}
        blocks = [
            b for b in self._blocks if not b.channels or not wanted.keys().isdisjoint(b.channels)
        ]
        yield from in_order(
            [Part(b.start_ns, b.size, partial(self._read, b, wanted)) for b in blocks]
        )

    def _by_summary(self) -> bool | None:
        """Take channels, counts and chunks from the summary; None if it is not there, not whole, or not true."""
        self._forget()
        size = self._file.size
        foot = size - len(MAGIC) - HEAD.size - LEAST[Opcode.FOOTER]
        if (
            not self._whole
            or self._file.read(size - len(MAGIC), len(MAGIC)) != MAGIC
            or foot < len(MAGIC)
        ):
            return None
        footer = parse(Footer, self._file.read(foot + HEAD.size, LEAST[Opcode.FOOTER]))
        if self._file.head(foot) != (Opcode.FOOTER, LEAST[Opcode.FOOTER]):
            return None
        if not max(len(MAGIC), foot - LONGEST) < footer.summary_start < foot:
            return None
        summary = self._file.read(
            footer.summary_start, foot + HEAD.size + 16 - footer.summary_start
        )
        if footer.summary_crc not in (0, zlib.crc32(summary)):
            return None
        indexes, statistics = [], None
        for opcode, content in records_in(summary[: foot - footer.summary_start]):
            if opcode == Opcode.CHUNK_INDEX:
                indexes.append(parse(ChunkIndex, content))
            elif opcode == Opcode.STATISTICS:
                statistics = parse(Statistics, content)
            else:
                self._learn(opcode, content)
        if None in indexes or not self._holds(statistics, indexes):
            return None
        self._counts.update(statistics.channel_message_counts)
        position = len(MAGIC)
        for i in sorted(indexes, key=lambda index: index.chunk_start_offset):
            if i.chunk_start_offset < position or self._file.head(i.chunk_start_offset) != (
                Opcode.CHUNK,
                i.chunk_length - HEAD.size,
            ):
                return None
            self._walk(position, i.chunk_start_offset)
            start_ns = i.message_start_time if i.message_start_time < LATEST_NS else 0
            block = Block(i.chunk_start_offset, i.chunk_length, True, start_ns, i.uncompressed_size)
            block.channels = i.message_index_offsets.keys()
            self._blocks.append(block)
            position = i.chunk_start_offset + i.chunk_length + i.message_index_length
        self._walk(position, footer.summary_start)
        return True

    def _holds(self, statistics: Statistics | None, indexes: list[ChunkIndex]) -> bool:
        """Whether a summary says all that there is to say."""
        if statistics is None or statistics.chunk_count != len(indexes):
            return False
        counts, channels = statistics.channel_message_counts, self._channels
        schemas = {channels[number].schema_id for number in counts if number in channels}
        indexed = {number for index in indexes for number in index.message_index_offsets}
        return (
            sum(counts.values()) == statistics.message_count >= len(indexes)
            and indexed <= counts.keys() <= channels.keys()
            and schemas <= {0, *self._schemas}
        )

    def _by_walking(self) -> None:
        """Find channels, chunks and messages record after record, and count what can be read."""
        self._forget()
        if not self._file.size:
            raise BagError(f"{self._name} is empty")
        broken = self._walk(len(MAGIC) if self._whole else 0, self._file.size)
        blocks, self._blocks, last_ns = self._blocks, [], 0
        for block in blocks:
            times = []
            for number, log_ns, publish_ns, _ in self._messages_in(block):
                self._counts[number] += 1
                block.channels.add(number)
                times.append(record_time(log_ns, publish_ns))
            if times:
                block.start_ns = min(settled(times))
                last_ns = max(last_ns, *times)
                self._blocks.append(block)
        if broken:
            self._say(f"{self._name} {breaks_off(last_ns)}")
        if any(record == Opcode.CHANNEL for record, _ in self._guessed):
            self._say(f"{self._name}: the names of topics are those in a damaged chunk")
        if not self._whole and not self._blocks:
            raise BagError(
                "it does not begin as an MCAP file does, and holds no message that can be read"
            )

    def _forget(self) -> None:
        self._channels: dict[int, Channel] = {}
        self._schemas: dict[int, Schema] = {}
        self._guessed: set[tuple[int, int]] = set()  # opcode and id of what damaged chunks say
        self._counts: Counter[int] = Counter()  # messages by channel
        self._blocks: list[Block] = []

    def _learn(self, opcode: int, content: bytes, guess: bool = False) -> None:
        """Take a channel or a schema from its record, which counts less if it is of a damaged chunk."""
        for kind, record, known in (
            (Schema, Opcode.SCHEMA, self._schemas),
            (Channel, Opcode.CHANNEL, self._channels),
        ):
            if opcode == record and (found := parse(kind, content)):
                if found.id not in known or (not guess and (record, found.id) in self._guessed):
                    known[found.id] = found
                    (self._guessed.add if guess else self._guessed.discard)((record, found.id))

    def _walk(self, position: int, end: int) -> bool:
        """Note what the records of a stretch hold; whether it breaks off. Damage before is jumped over, and said."""
        run: Block | None = None
        while position < end:
            head = self._file.head(position)
            opcode, length = head or (0, 0)
            after = position + HEAD.size + length
            if head is None or after > end or self._is_false(position, opcode, length):
                if after > end and opcode == Opcode.CHUNK and self._file.is_chunk(position, length):
                    self._blocks.append(Block(position, end - position, True))
                    return True
                after = self._file.next_record(position + 1, self._channels)
                if after >= self._file.size:
                    return True
                self._say(
                    f"{self._name}: {size_text(after - position)} at byte {position:,} are damaged, and left out"
                )
            elif opcode in (Opcode.FOOTER, Opcode.DATA_END):
                if opcode == Opcode.FOOTER:
                    return False
            elif opcode == Opcode.CHUNK:
                self._blocks.append(Block(position, after - position, True, size=length))
            elif opcode == Opcode.MESSAGE:
                if run is None or run.position + run.length != position or run.length > RUN:
                    run = Block(position, 0, False)
                    self._blocks.append(run)
                _, _, log_ns, publish_ns = MESSAGE.unpack(
                    self._file.read(position + HEAD.size, MESSAGE.size)
                )
                time = record_time(log_ns, publish_ns)
                run.start_ns = min(run.start_ns or time, time or run.start_ns)
                run.length += after - position
                run.size = run.length
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._learn(opcode, self._file.read(position + HEAD.size, length))
            position = after
        return end == self._file.size

    def _is_false(self, position: int, opcode: int, length: int) -> bool:
        """Whether the length of a chunk or message leads to no other record, and a shorter one does."""
        after = position + HEAD.size + length
        if opcode == Opcode.CHUNK:
            return not self._file.is_chunk(position, length)
        if opcode != Opcode.MESSAGE or self._file.is_record(after, (), 0):
            return False
        return self._file.next_record(position + 1, self._channels) < after

    def _messages_in(self, block: Block) -> Iterator[tuple[int, int, int, memoryview]]:
        """(channel, log time, publish time, data) of a block's messages; of a damaged one those that can be trusted."""
        data, fault = b"", ""
        try:
            data = self._file.read(block.position, block.length)
            if block.is_chunk:
                data, fault = unpack_chunk(data)
        except OSError as error:
            fault = error.strerror
        if fault:
            self._report(block, fault)
            for opcode, content in records_in(data):
                self._learn(opcode, content, guess=True)
            return
        block.size, taken, unknown = len(data), 0, 0
        for opcode, content in records_in(data):
            taken += HEAD.size + len(content)
            if opcode == Opcode.MESSAGE and len(content) >= MESSAGE.size:
                number, _, log_ns, publish_ns = MESSAGE.unpack_from(content)
                if number not in self._channels:
                    unknown += 1
                    continue
                yield number, log_ns, publish_ns, content[MESSAGE.size :]
            else:
                self._learn(opcode, content)
        if taken < len(data) and block.position + block.length < self._file.size:
            self._say(
                f"{self._name}: a chunk at byte {block.position:,} breaks off, its rest is left out"
            )
        if unknown:
            self._say(
                f"{self._name}: {unknown:,} messages at byte {block.position:,} are of an unknown channel"
            )

    def _report(self, block: Block, fault: str) -> None:
        """Say that a block is left out, and how many messages are, if the indexes after it tell."""
        position, lost = block.position + block.length, 0
        while (head := self._file.head(position)) and head[0] == Opcode.MESSAGE_INDEX:
            lost += (head[1] - 6) // 16
            position += HEAD.size + head[1]
        what = (
            f"a chunk of {size_text(block.length)} at byte {block.position:,} is damaged ({fault})"
        )
        with_them = f" with {lost:,} messages" if lost else ""
        self._say(f"{self._name}: {what}, and left out{with_them}")

    def _read(self, block: Block, wanted: dict[int, Connection]) -> list[Message]:
        """A block's messages of some channels, by record time."""
        rows = list(self._messages_in(block))
        raw = [record_time(log_ns, publish_ns) for _, log_ns, publish_ns, _ in rows]
        times = settled(raw)
        if times != raw:
            self._say(
                f"{self._name}: messages without a record time count as recorded with the one before them"
            )
        found = [
            (t, wanted[row[0]], bytes(row[3])) for t, row in zip(times, rows) if row[0] in wanted
        ]
        return sorted(found, key=lambda message: message[0])

    def _connection(self, channel: Channel) -> Connection:
        schema = self._schemas.get(channel.schema_id)
        encoding = channel.message_encoding.lower()
        if not encoding and schema:
            encoding = {"ros1msg": ROS1, "ros2msg": CDR, "ros2idl": CDR}.get(schema.encoding, "")
        return Connection(
            channel.topic,
            type_name(schema.name if schema else ""),
            encoding,
            self._counts[channel.id],
        )
