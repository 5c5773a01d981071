"""The envelope of a stored volume: what every record of one starts and ends with, as
`volume/format.py` lists it.

Plain Python, so that the memory file can read a volume's size and place without loading a codec.
"""

import math
import struct
import zlib
from dataclasses import dataclass

from gaussvae_ros.errors import RecordError

MAGIC = 0xA6
VERSION = 1
PLACE = 32  # the flag that says that there is one
_HEAD, _PLACE, _TAIL = (struct.Struct(f) for f in ("<BBB3H", "<f3d", "<I"))


@dataclass(frozen=True)
class Envelope:
    """`shape` is in voxels along z, y, x; `origin`, x, y, z, is the first voxel's outer corner.
    `kind` and `flags` are those of the format; its own part is from `begin` to `end`.
    """

    kind: int
    flags: int
    shape: tuple[int, int, int]
    voxel_size: float = 1.0  # m
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m
    begin: int = 0
    end: int = 0


def seal(envelope: Envelope, body: bytes) -> bytes:
    """The bytes of a record whose own part is `body`."""
    place = envelope.voxel_size, *envelope.origin
    flags = envelope.flags | (PLACE if place != (1.0, 0.0, 0.0, 0.0) else 0)
    head = _HEAD.pack(MAGIC, VERSION << 4 | envelope.kind, flags, *envelope.shape)
    whole = head + (_PLACE.pack(*place) if flags & PLACE else b"") + body
    return whole + _TAIL.pack(zlib.crc32(whole))


def open_envelope(data: bytes) -> Envelope:
    """Check the envelope of a volume's record, and that it is whole.

    Raises:
        RecordError: not one, truncated, altered, or of another version.
    """
    if len(data) < _HEAD.size + _TAIL.size:
        raise RecordError(f"volume record is truncated: {len(data)} bytes")
    magic, kind, flags, *shape = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise RecordError("not a volume record of gaussvae (wrong first byte)")
    if kind >> 4 != VERSION:
        raise RecordError(
            f"volume record has format version {kind >> 4}, this release reads {VERSION}"
        )
    end = len(data) - _TAIL.size
    if zlib.crc32(memoryview(data)[:end]) != _TAIL.unpack_from(data, end)[0]:
        raise RecordError("volume record is damaged: its checksum does not match")
    if not all(shape):
        raise RecordError("volume record says a kind, type or size that there is not")
    if not flags & PLACE:
        return Envelope(kind & 15, flags, tuple(shape), begin=_HEAD.size, end=end)
    try:
        size, *origin = _PLACE.unpack_from(data, _HEAD.size)
    except struct.error as error:
        raise RecordError(f"volume record is damaged: {error}") from error
    if not 0 < size < math.inf or not all(map(math.isfinite, origin)):
        raise RecordError("volume record is damaged: it says a place that there is not")
    begin = _HEAD.size + _PLACE.size
    return Envelope(kind & 15, flags, tuple(shape), size, tuple(origin), begin, end)
