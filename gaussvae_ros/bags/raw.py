"""Bytes of a file that may be damaged: never more than there are, whatever a length in it says."""

import bz2
import os
import re
from collections.abc import Iterator
from pathlib import Path

import lz4.frame
import zstandard

PIECE = 1 << 20  # bytes that are unpacked or searched at a time
LARGEST = 2 << 30  # bytes: what unpacks to more is taken for damage
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class RawFile:
    """A file for reading; no read moves anything, and none ends beyond the file."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, open(path, "rb", buffering=0)  # noqa: SIM115, see close()
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes; fewer at the end of the file.

        Raises:
            OSError: the medium does not give them.
        """
        count = max(min(count, self.size - position), 0)
        if self._file.closed:
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115
        data = os.pread(self._file.fileno(), count, position)
        while len(data) < count and (
            more := os.pread(self._file.fileno(), count - len(data), position + len(data))
        ):
            data += more
        return data

    def search(self, pattern: re.Pattern[bytes], position: int, reach: int) -> Iterator[int]:
        """Where a pattern of at most `reach` bytes matches from `position` on, overlaps too."""
        while position < self.size:
            window = self.read(position, PIECE + reach)
            for found in pattern.finditer(window):
                if found.start() < PIECE:
                    yield position + found.start()
            position += PIECE

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        self._file.close()


def unpack(data: bytes, compression: str, expected: int = LARGEST) -> tuple[bytes, str]:
    """Unpacked bytes, as far as they go if `data` is cut short or damaged, and what is wrong, if
    anything: an unknown compression, damage, or more than `expected` bytes."""
    if compression in ("", "none"):
        return data, ""
    if compression not in UNPACKERS:
        return b"", f"its compression {compression[:20]!r} is unknown"
    pieces, total = [], 0
    try:
        for piece in UNPACKERS[compression](data):
            total += len(piece)
            if total > min(expected, LARGEST):
                return b"".join(pieces), "it unpacks to more than it should"
            pieces.append(piece)
    except (zstandard.ZstdError, RuntimeError, OSError, EOFError):
        return b"".join(pieces), "it does not unpack"
    return pieces[0] if len(pieces) == 1 else b"".join(pieces), ""


def unpack_file(packed: Path, out: Path) -> bool:
    """Unpack a .zstd file, as far as it goes; whether it was whole.

    Raises:
        OSError: `packed` cannot be read or `out` not be written.
    """
    with open(packed, "rb") as source, open(out, "wb") as target:
        # an own loop: the library's reader takes the end of a cut file for the end of the data
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        whole = False
        while data := source.read(PIECE // 64):
            while data:
                try:
                    target.write(unpacker.decompress(data))
                except zstandard.ZstdError:
                    return False
                whole, data = unpacker.eof, unpacker.unused_data if unpacker.eof else b""
                if whole:  # another frame may follow
                    unpacker = zstandard.ZstdDecompressor().decompressobj()
        return whole


def _zstd(data: bytes) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        while piece := reader.read(PIECE // 8):  # a block: damage costs no block before it
            yield piece


def _lz4(data: bytes) -> Iterator[bytes]:
    unpacker, most = lz4.frame.LZ4FrameDecompressor(), PIECE + 8 * len(data)
    piece = unpacker.decompress(data, max_length=most)
    while piece:
        yield piece
        piece = (
            b""
            if unpacker.eof or unpacker.needs_input
            else unpacker.decompress(b"", max_length=most)
        )


def _bz2(data: bytes) -> Iterator[bytes]:
    unpacker = bz2.BZ2Decompressor()
    piece = unpacker.decompress(data, PIECE)
    while piece:
        yield piece
        piece = b"" if unpacker.eof or unpacker.needs_input else unpacker.decompress(b"", PIECE)


UNPACKERS = {"zstd": _zstd, "lz4": _lz4, "bz2": _bz2}
