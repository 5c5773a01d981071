"""Messages from the pages of a .db3 file, where the pages that lead to them are damaged.

The layout is that of https://www.sqlite.org/fileformat2.html: a leaf page of a table holds cells,
each with the length of its payload, its row number, and the payload. What is too long for the page
goes on in a chain of others.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gaussvae_ros.bags.raw import RawFile

LEAF = 0x0D  # kind of a page
HEADER = 100  # bytes of the file's header, on its first page
INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # bytes of a value by its serial type
ROW, BLOB = 4, 12  # columns of a message: id, topic, time, data; the least serial type of data


@dataclass(frozen=True)
class Cell:
    """One message on a leaf page."""

    row: int
    topic: int
    time_ns: int
    local: bytes  # the first bytes of its data
    length: int  # of its data
    overflow: int  # the page where they go on, or 0


class Pages:
    """The pages of a .db3 file."""

    def __init__(self, file: RawFile) -> None:
        (size,) = struct.unpack(">H", file.read(16, 2).ljust(2, b"\0"))
        self._file, self._size = file, 65536 if size == 1 else max(size, 512)
        self._usable = self._size - file.read(20, 1)[0]

    def cells(self) -> Iterator[Cell]:
        """All messages that lie on leaf pages, in the order of the pages."""
        for number in range(1, self._file.size // self._size + 1):
            page = self._file.read((number - 1) * self._size, self._size)
            begin = HEADER if number == 1 else 0
            if page[begin] != LEAF:
                continue
            count = int.from_bytes(page[begin + 3 : begin + 5], "big")
            places = page[begin + 8 : begin + 8 + 2 * count]
            for (place,) in struct.iter_unpack(">H", places[: len(places) // 2 * 2]):
                try:
                    cell = self._cell(page, place)
                except (IndexError, KeyError, struct.error):  # no message, or a damaged one
                    continue
                if cell:
                    yield cell

    def data(self, cell: Cell) -> bytes | None:
        """A message's data; None if its chain of pages is damaged."""
        pieces, left, number = [cell.local], cell.length - len(cell.local), cell.overflow
        while left > 0:
            page = self._file.read((number - 1) * self._size, self._size) if number else b""
            if len(page) < self._size:
                return None
            pieces.append(page[4 : min(self._usable, 4 + left)])
            left -= len(pieces[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(pieces)

    def close(self) -> None:
        self._file.close()

    def _cell(self, page: bytes, place: int) -> Cell | None:
        payload, place = _varint(page, place)
        row, place = _varint(page, place)
        most, least = self._usable - 35, (self._usable - 12) * 32 // 255 - 23
        local = least + (payload - least) % (self._usable - 4)
        local = payload if payload <= most else local if local <= most else least
        end = place + local
        overflow = int.from_bytes(page[end : end + 4], "big") if local < payload else 0
        begin, at = _varint(page, place)
        types, begin = [], begin + place
        while at < begin and len(types) <= ROW:
            kind, at = _varint(page, at)
            types.append(kind)
        if (
            len(types) != ROW
            or types[0]
            or types[3] < BLOB
            or types[3] % 2
            or payload > self._file.size
        ):
            return None
        values = []
        for kind in types[1:3]:
            size = INTEGERS[kind]
            value = int.from_bytes(page[begin : begin + size], "big", signed=True)
            values.append(value if size else kind - 8)  # 8 is the number 0, and 9 is 1
            begin += size
        return Cell(row, *values, page[begin:end], (types[3] - BLOB) // 2, overflow)


def _varint(page: bytes, place: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    value = 0
    for i in range(8):
        byte = page[place + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + i + 1
    return value << 8 | page[place + 8], place + 9
