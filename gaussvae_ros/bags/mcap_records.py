"""The records of MCAP files, where nothing that they say of themselves needs to be true."""

import re
import struct
import zlib
from collections.abc import Collection, Iterator
from io import BytesIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import McapRecord

from gaussvae_ros.bags.raw import LARGEST, RawFile, unpack
from gaussvae_ros.bags.storage import LATEST_NS

MAGIC = b"\x89MCAP0\r\n"
HEAD = struct.Struct("<BQ")  # of a record: opcode, length of the rest
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
# First and last log time, unpacked size, its checksum, length of the compression.
CHUNK = struct.Struct("<QQQII")
LEAST = {
    Opcode.HEADER: 8,
    Opcode.FOOTER: 20,
    Opcode.SCHEMA: 14,
    Opcode.CHANNEL: 16,
    Opcode.MESSAGE: 22,
}
LEAST |= {Opcode.CHUNK: 40, Opcode.MESSAGE_INDEX: 6, Opcode.DATA_END: 4}
# anything that may begin a record of less than 1 TB; its length and the next record decide
RECORD = re.compile(rb"(?=[\x01-\x0f].{5}\x00\x00\x00)", re.DOTALL)


class McapBytes(RawFile):
    """The bytes of an MCAP file, and where its records can be."""

    def head(self, position: int) -> tuple[int, int] | None:
        """Opcode and length of a record; None where none can be."""
        data = self.read(position, HEAD.size)
        if len(data) < HEAD.size:
            return None
        opcode, length = HEAD.unpack(data)
        return (opcode, length) if opcode and length >= LEAST.get(opcode, 0) else None

    def is_chunk(self, position: int, length: int) -> bool:
        """Whether the head of a chunk agrees with its record's length."""
        data = self.read(position + HEAD.size, CHUNK.size + 16)
        if len(data) < CHUNK.size + 8:
            return False
        *_, letters = CHUNK.unpack_from(data)
        name = data[CHUNK.size : CHUNK.size + letters]
        return (
            letters <= 4
            and name in (b"", b"lz4", b"zstd")
            and struct.unpack_from("<Q", data, CHUNK.size + letters)[0]
            == length - CHUNK.size - letters - 8
        )

    def is_record(self, position: int, channels: Collection[int], ahead: int = 2) -> bool:
        """Whether a record, and others after it, can be at a place; of some channels, if known."""
        if position == self.size or self.read(position, len(MAGIC)) == MAGIC:
            return True
        head = self.head(position)
        if head is None or head[0] > Opcode.DATA_END or position + HEAD.size + head[1] > self.size:
            return False
        opcode, length = head
        if opcode == Opcode.CHUNK:
            return self.is_chunk(position, length)
        if opcode == Opcode.MESSAGE:
            number, _, log_ns, _ = MESSAGE.unpack(self.read(position + HEAD.size, MESSAGE.size))
            if log_ns > LATEST_NS or (channels and number not in channels):
                return False
        return not ahead or self.is_record(position + HEAD.size + length, channels, ahead - 1)

    def next_record(self, position: int, channels: Collection[int]) -> int:
        """The first place from `position` on where a record can be; the end if there is none."""
        places = self.search(RECORD, position, HEAD.size)
        return next((place for place in places if self.is_record(place, channels)), self.size)


def records_in(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """(opcode, content) of records one after the other, up to one that is not whole."""
    view, position = memoryview(data), 0
    while position + HEAD.size <= len(data):
        opcode, length = HEAD.unpack_from(data, position)
        position += HEAD.size
        if length > len(data) - position:
            return
        yield opcode, view[position : position + length]
        position += length


def unpack_chunk(data: bytes) -> tuple[bytes, str]:
    """The records in a chunk, as far as they go, and what is damaged; a cut is no damage."""
    _, length = HEAD.unpack_from(data)
    cut = length > len(data) - HEAD.size
    try:
        _, _, size, checksum, letters = CHUNK.unpack_from(data, HEAD.size)
        begin = HEAD.size + CHUNK.size + letters
        compression = data[begin - letters : begin].decode()
        (packed,) = struct.unpack_from("<Q", data, begin)
    except (struct.error, UnicodeDecodeError):
        return b"", "" if cut else "its head is not one"
    if size > LARGEST:
        return b"", "its size is not one"
    if begin + 8 + packed != HEAD.size + length and not cut:
        return b"", "its head is not one"
    packed_data = memoryview(data)[begin + 8 : begin + 8 + packed]
    found, fault = unpack(packed_data, compression, size)
    if not (cut or fault) and (len(found) != size or checksum not in (0, zlib.crc32(found))):
        fault = "its checksum does not fit"
    return found, fault


def record_time(log_ns: int, publish_ns: int) -> int:
    """When a message was recorded, ns; its publish time if that is none, else 0."""
    return next((t for t in (log_ns, publish_ns) if 0 < t < LATEST_NS), 0)


def parse(kind: type[McapRecord], content: bytes | memoryview) -> McapRecord | None:
    """A record's fields; None if they are damaged."""
    try:
        return kind.read(ReadDataStream(BytesIO(content)))
    except Exception:  # whatever foreign bytes may cause in it
        return None
