"""The envelope of a stored frame: what every tier's bytes start and end with.

    offset  bytes
    0       1      magic 0xA5
    1       1      format version (high nibble), tier (low nibble)
    2       2      width of the frame, px, little endian
    4       2      height of the frame, px
    6       n      payload, the tier's own
    6 + n   4      CRC-32 of everything before it

Pure Python, so that the bank can read a record's facts without loading a codec.
"""

import struct
import zlib
from dataclasses import dataclass

from gaussvae_ros.errors import RecordError

MAGIC = 0xA5
VERSION = 1
TIERS = ("splats", "latent")
MAX_SIDE = 65535  # px

_HEAD = struct.Struct("<BBHH")
_TAIL = struct.Struct("<I")
OVERHEAD = _HEAD.size + _TAIL.size  # bytes


@dataclass(frozen=True)
class Record:
    """One stored frame, checked: `tier`, `size` (w, h) in px of the camera frame, and
    the tier's `payload`."""

    tier: str
    size: tuple[int, int]  # (w, h) px
    payload: bytes


def pack(record: Record) -> bytes:
    """Wrap a payload into a self-contained record."""
    head = _HEAD.pack(MAGIC, VERSION << 4 | TIERS.index(record.tier), *record.size)
    body = head + record.payload
    return body + _TAIL.pack(zlib.crc32(body))


def unpack(data: bytes) -> Record:
    """Check a record and open it.

    Raises:
        RecordError: not a record, truncated, altered, or of a version or tier that
            this release does not know.
    """
    if len(data) < OVERHEAD:
        raise RecordError(
            f"record is truncated: {len(data)} bytes, a record has at least {OVERHEAD}"
        )
    magic, kind, width, height = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise RecordError("not a gaussvae record (wrong first byte)")
    if kind >> 4 != VERSION:
        raise RecordError(
            f"record has format version {kind >> 4}, this release reads version {VERSION}"
        )
    body = bytes(data[: -_TAIL.size])
    if zlib.crc32(body) != _TAIL.unpack_from(data, len(body))[0]:
        raise RecordError("record is damaged: its checksum does not match")
    if kind & 15 >= len(TIERS):
        raise RecordError(f"record has unknown tier {kind & 15}")
    if not (width and height):
        raise RecordError(f"record says an empty frame size, {width}x{height}")
    return Record(TIERS[kind & 15], (width, height), body[_HEAD.size :])
