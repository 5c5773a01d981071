"""MCAP files, whole or not."""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from mcap.opcode import Opcode
from mcap.records import Channel

from gaussvae_ros.bags.mcap_contents import Block, Contents
from gaussvae_ros.bags.mcap_records import (
    HEAD,
    MAGIC,
    MESSAGE,
    McapBytes,
    record_time,
    records_in,
    unpack_chunk,
)
from gaussvae_ros.bags.raw import LARGEST
from gaussvae_ros.bags.storage import (
    CDR,
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


class McapFile:
    """An MCAP file, see `Storage`.

    Raises:
        BagError: nothing in it is MCAP.
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._say, self._file = say, McapBytes(path)
        try:
            if not self._file.size:
                raise BagError(f"{path.name} is empty")
            begins = self._file.read(0, len(MAGIC)) == MAGIC
            self._contents = Contents(self._file, self._say)
            if not (begins and self._contents.by_summary()):
                self._contents = Contents(self._file, self._say)
                self._by_walking(len(MAGIC) if begins else 0)
                if not begins and not self._contents.blocks:
                    raise BagError(
                        "it begins as no MCAP file does, and has no message that can be read"
                    )
        except BaseException:
            self._file.close()
            raise
        channels = self._contents.channels.items()
        self._connections = {number: self._connection(channel) for number, channel in channels}
        self.connections = list(self._connections.values())
        self.start_ns = min((block.start_ns for block in self._contents.blocks), default=0)

    def rest(self) -> None:
        self._file.close()

    def close(self) -> None:
        self.rest()

    def messages(self, chosen: Collection[Connection]) -> Iterator[Message]:
        wanted = {number: c for number, c in self._connections.items() if c in chosen}
        parts = [
            Part(block.start_ns, block.size, partial(self._read, block, wanted))
            for block in self._contents.blocks
            if not block.channels or not wanted.keys().isdisjoint(block.channels)
        ]
        yield from in_order(parts)

    def _by_walking(self, begin: int) -> None:
        """Find chunks and messages record after record, and count what can be read in them."""
        contents = self._contents
        broken, last_ns = contents.walk(begin, self._file.size), 0
        blocks, contents.blocks = contents.blocks, []
        for block in blocks:
            times = []
            for number, time, _ in self._messages_in(block):
                contents.counts[number] += 1
                block.channels.add(number)
                times.append(time)
            if times:
                block.start_ns, last_ns = min(settled(times)), max(last_ns, *times)
                contents.blocks.append(block)
        if broken:
            self._say(breaks_off(last_ns))
        if contents.guessed:
            self._say("the names of topics are those in a damaged chunk or summary")
        promised = contents.statistics.message_count if contents.statistics else 0
        if (found := contents.counts.total()) < promised:
            self._say(f"its summary promises {promised:,} messages, {found:,} can be read")

    def _messages_in(self, block: Block) -> Iterator[tuple[int, int, memoryview]]:
        """(channel, record time ns or 0, data) of a block's messages; none if it is damaged."""
        data, fault = b"", ""
        try:
            if block.length > LARGEST:
                fault = f"larger than {LARGEST >> 30} GB"
            else:
                data = self._file.read(block.position, block.length)
            if block.is_chunk and data:
                data, fault = unpack_chunk(data)
        except OSError as error:
            fault = error.strerror
        if fault:
            self._report(block, fault)
            for opcode, content in records_in(data):
                self._contents.learn(opcode, content, guess=True)
            return
        block.size, taken, unknown, whole = len(data), 0, 0, 0
        for opcode, content in records_in(data):
            taken += HEAD.size + len(content)
            if opcode == Opcode.MESSAGE and len(content) >= MESSAGE.size:
                number, _, log_ns, publish_ns = MESSAGE.unpack_from(content)
                whole += 1
                if number in self._contents.channels:
                    yield number, record_time(log_ns, publish_ns), content[MESSAGE.size :]
                else:
                    unknown += 1
            else:
                self._contents.learn(opcode, content)
        if taken < len(data) and block.position + block.length < self._file.size:
            self._say(f"a chunk at byte {block.position:,} breaks off, its rest is left out")
        elif block.is_chunk and (lost := self._indexed(block) - whole) > 0:  # it has no checksum
            self._say(f"{lost:,} messages of a chunk at byte {block.position:,} are damaged")
        if unknown:
            self._say(f"{unknown:,} messages at byte {block.position:,} are of an unknown channel")

    def _report(self, block: Block, fault: str) -> None:
        """Say that a block is left out, and how many messages are, if the indexes after it tell."""
        lost = self._indexed(block)
        what = (
            f"a chunk of {size_text(block.length)} at byte {block.position:,} is damaged ({fault})"
        )
        with_them = f" with {lost:,} messages" if lost else ""
        self._say(f"{what}, and left out{with_them}")

    def _indexed(self, block: Block) -> int:
        """How many messages a chunk has by the indexes after it; 0 without any."""
        position, count = block.position + block.length, 0
        while (head := self._file.head(position)) and head[0] == Opcode.MESSAGE_INDEX:
            count += (head[1] - 6) // 16
            position += HEAD.size + head[1]
        return count

    def _read(self, block: Block, wanted: dict[int, Connection]) -> list[Message]:
        """A block's messages of some channels, by record time."""
        rows = list(self._messages_in(block))
        raw = [time for _, time, _ in rows]
        times = settled(raw)
        if times != raw:
            self._say("messages without a record time count as recorded with the one before them")
        pairs = zip(times, rows)
        found = [(time, wanted[row[0]], row[2]) for time, row in pairs if row[0] in wanted]
        return sorted(found, key=lambda message: message[0])

    def _connection(self, channel: Channel) -> Connection:
        schema = self._contents.schemas.get(channel.schema_id)
        encoding = channel.message_encoding.lower()
        if not encoding and schema:
            encoding = {"ros1msg": ROS1, "ros2msg": CDR, "ros2idl": CDR}.get(schema.encoding, "")
        count = self._contents.counts[channel.id]
        return Connection(channel.topic, type_name(schema.name if schema else ""), encoding, count)
