"""Where the messages of an MCAP file lie: by its summary, or record by record."""

import zlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

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
)
from gaussvae_ros.bags.storage import LATEST_NS, MEMORY, Say, size_text

LONGEST = MEMORY  # bytes of a summary
PRIVATE = 0x80  # opcodes from here on are for whoever wants them
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


class Contents:
    """What is known of a file's messages; `say` takes what is found to be damaged."""

    def __init__(self, file: McapBytes, say: Say) -> None:
        self._file, self._say = file, say
        self.channels: dict[int, Channel] = {}
        self.schemas: dict[int, Schema] = {}
        self.statistics: Statistics | None = None
        self.counts: Counter[int] = Counter()  # messages by channel
        self.blocks: list[Block] = []
        self._walked = 0  # messages outside chunks
        self._guessed: set[tuple[int, int]] = set()  # opcode and id of what damaged chunks say

    @property
    def guessed(self) -> bool:
        """Whether the names of topics are those in a damaged chunk."""
        return any(opcode == Opcode.CHANNEL for opcode, _ in self._guessed)

    def learn(self, opcode: int, content: bytes, guess: bool = False) -> None:
        """Take a channel or schema from its record; from a damaged chunk it counts less."""
        for kind, record, known in (
            (Schema, Opcode.SCHEMA, self.schemas),
            (Channel, Opcode.CHANNEL, self.channels),
        ):
            if opcode == record and (found := parse(kind, content)):
                if found.id not in known or (not guess and (record, found.id) in self._guessed):
                    known[found.id] = found
                    (self._guessed.add if guess else self._guessed.discard)((record, found.id))
        if opcode == Opcode.STATISTICS and not guess:
            self.statistics = parse(Statistics, content)

    def by_summary(self) -> bool:
        """Take all from the summary; whether it is there, whole and true."""
        foot = self._file.size - len(MAGIC) - HEAD.size - LEAST[Opcode.FOOTER]
        if self._file.read(self._file.size - len(MAGIC), len(MAGIC)) != MAGIC:
            return False
        if foot < len(MAGIC) or self._file.head(foot) != (Opcode.FOOTER, LEAST[Opcode.FOOTER]):
            return False
        footer = parse(Footer, self._file.read(foot + HEAD.size, LEAST[Opcode.FOOTER]))
        begin = footer.summary_start
        if not max(len(MAGIC), foot - LONGEST) < begin < foot:
            return False
        # And what it covers of the footer.
        summary = self._file.read(begin, foot + HEAD.size + 16 - begin)
        if footer.summary_crc not in (0, zlib.crc32(summary)):
            return False
        indexes = []
        for opcode, content in records_in(summary[: foot - begin]):
            if opcode == Opcode.CHUNK_INDEX:
                indexes.append(parse(ChunkIndex, content))
            else:
                self.learn(opcode, content)
        if None in indexes or not self._says_all(indexes):
            return False
        self.counts.update(self.statistics.channel_message_counts)
        position = len(MAGIC)
        for index in sorted(indexes, key=lambda index: index.chunk_start_offset):
            start, length = index.chunk_start_offset, index.chunk_length
            if start < position or self._file.head(start) != (Opcode.CHUNK, length - HEAD.size):
                return False
            self.walk(position, start)
            start_ns = index.message_start_time if index.message_start_time < LATEST_NS else 0
            channels = index.message_index_offsets.keys()
            self.blocks.append(
                Block(start, length, True, start_ns, index.uncompressed_size, channels)
            )
            position = start + length + index.message_index_length
        self.walk(position, begin)
        if not indexes and self._walked < self.statistics.message_count:
            promised = f"its summary promises {self.statistics.message_count:,} messages"
            self._say(f"{promised}, {self._walked:,} can be read")
        return True

    def _says_all(self, indexes: list[ChunkIndex]) -> bool:
        """Whether the summary's counts, channels, schemas and chunks fit together."""
        if self.statistics is None or self.statistics.chunk_count != len(indexes):
            return False
        counts, channels = self.statistics.channel_message_counts, self.channels
        schemas = {channels[number].schema_id for number in counts if number in channels}
        indexed = {number for index in indexes for number in index.message_index_offsets}
        return (
            sum(counts.values()) == self.statistics.message_count >= len(indexes)
            and indexed <= counts.keys() <= channels.keys()
            and schemas <= {0, *self.schemas}
        )

    def walk(self, position: int, end: int) -> bool:
        """Note what the records of a stretch hold; whether the file breaks off in it.

        Damage before that is jumped over, and said.
        """
        run: Block | None = None
        summary = False
        while position < end:
            head = self._file.head(position)
            opcode, length = head or (0, 0)
            if opcode != Opcode.MESSAGE and self._file.is_chunk(position, length):
                opcode = Opcode.CHUNK  # though its opcode may be damaged
            after = position + HEAD.size + length
            if head is None or after > end or self._is_false(position, opcode, length):
                if after > end and opcode == Opcode.CHUNK and self._file.is_chunk(position, length):
                    self.blocks.append(Block(position, end - position, True))
                    return True
                after = self._file.next_record(position + 1, self.channels)
                if after >= self._file.size:
                    return True
                self._say(
                    f"{size_text(after - position)} at byte {position:,} are damaged, and left out"
                )
            elif opcode == Opcode.FOOTER:
                if (more := self._file.size - after - len(MAGIC)) > 0:
                    self._say(f"{size_text(more)} after its end are left out")
                return False
            elif opcode == Opcode.CHUNK:
                self.blocks.append(Block(position, after - position, True, size=length))
            elif opcode == Opcode.MESSAGE:
                if run is None or run.position + run.length != position or run.length > RUN:
                    run = Block(position, 0, False)
                    self.blocks.append(run)
                record = MESSAGE.unpack(self._file.read(position + HEAD.size, MESSAGE.size))
                time = record_time(*record[2:])
                run.start_ns = min(run.start_ns or time, time or run.start_ns)
                run.size = run.length = after - run.position
                self._walked += 1
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.STATISTICS):
                content = self._file.read(position + HEAD.size, length)
                self.learn(opcode, content, guess=summary and opcode != Opcode.STATISTICS)
            elif opcode == Opcode.DATA_END:
                summary = True  # and a damaged one, as it is walked through
            elif Opcode.DATA_END < opcode < PRIVATE:
                self._say(f"a record at byte {position:,} is of an unknown kind, and left out")
            position = after
        return end == self._file.size

    def _is_false(self, position: int, opcode: int, length: int) -> bool:
        """Whether the length of a chunk or message leads to no record, and a shorter one does."""
        after = position + HEAD.size + length
        if opcode == Opcode.CHUNK:
            return not self._file.is_chunk(position, length)
        if opcode != Opcode.MESSAGE or self._file.is_record(after, (), 0):
            return False
        return self._file.next_record(position + 1, self.channels) < after
