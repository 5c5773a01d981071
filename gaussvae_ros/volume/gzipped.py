"""Data that gzip packed."""

import zlib

MOST = 1 << 33  # bytes that it may hold


def inflated(data: bytes) -> bytes:
    """What gzip packed, in one part or several. Raises ValueError: cut off, damaged or too long."""
    parts, left = [], MOST
    while data[:2] == b"\x1f\x8b" or not parts:
        made = zlib.decompressobj(31)
        try:
            parts.append(made.decompress(data, left))
        except zlib.error as error:
            raise ValueError(f"its compressed data is damaged: {error}") from error
        left -= len(parts[-1])
        if not made.eof or left <= 0:
            raise ValueError("its compressed data is cut off or too long")
        data = made.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)
