"""The envelope of a stored frame: what every kind of record starts and ends with.

    offset  bytes
    0       1      magic 0xA5
    1       1      format version (high nibble), kind (low nibble)
    2       2      width of the frame, px, little endian
    4       2      height of the frame, px
    6       n      payload, the kind's own; a predicted one's ends with the 4 bytes of the
                   checksum of the record that it needs
    6 + n   4      CRC-32 of everything before it

Pure Python, so that the bank can read a record's facts without loading a codec.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from gaussvae_ros.errors import RecordError

MAGIC = 0xA5
VERSION = 1
TIERS = ("splats", "latent")  # of records that decode alone
PREDICTED = "predicted"  # from an earlier record, without which it does not decode
TILES = "tiles"  # of a large frame, each coded by itself
KINDS = (*TIERS, PREDICTED, TILES)
MAX_SIDE = 65535  # px
LONGEST_CHAIN = 3  # records that decoding one may take, itself included

_HEAD = struct.Struct("<BBHH")
_TAIL = struct.Struct("<I")
OVERHEAD = _HEAD.size + _TAIL.size  # bytes


@dataclass(frozen=True)
class Record:
    """One stored frame, checked: its kind as `tier`, `size` (w, h) in px of the camera frame, the
    kind's `payload` and, of a predicted one, the checksum of the record that it needs.

    Raises:
        RecordError: a predicted record without `reference`, or another one with it.
    """

    tier: str
    size: tuple[int, int]  # (w, h) px
    payload: bytes  # before the reference, where there is one
    reference: int | None = None

    def __post_init__(self):
        if (self.tier == PREDICTED) != (self.reference is not None):
            raise RecordError("predicted records name their reference, and no others do")


def pack(record: Record) -> bytes:
    """Wrap a payload into a record."""
    head = _HEAD.pack(MAGIC, VERSION << 4 | KINDS.index(record.tier), *record.size)
    reference = b"" if record.reference is None else _TAIL.pack(record.reference)
    body = head + record.payload + reference
    return body + _TAIL.pack(zlib.crc32(body))


def unpack(data: bytes) -> Record:
    """Check a record and open it.

    Raises:
        RecordError: not a record, truncated, altered, or of a version or kind that
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
    if zlib.crc32(body) != checksum(data):
        raise RecordError("record is damaged: its checksum does not match")
    if kind & 15 >= len(KINDS):
        raise RecordError(f"record has unknown tier {kind & 15}")
    if not (width and height):
        raise RecordError(f"record says an empty frame size, {width}x{height}")
    tier, payload, reference = KINDS[kind & 15], body[_HEAD.size :], None
    if tier == PREDICTED:
        if len(payload) < _TAIL.size:
            raise RecordError("predicted record is too short to name its reference")
        (reference,), payload = _TAIL.unpack(payload[-_TAIL.size :]), payload[: -_TAIL.size]
    return Record(tier, (width, height), payload, reference)


def checksum(data: bytes) -> int:
    """The CRC-32 that ends a whole record, by which predicted ones name it."""
    return _TAIL.unpack_from(data, len(data) - _TAIL.size)[0]


def is_predicted(data: bytes) -> bool:
    """Whether a whole record needs another one."""
    return data[1] & 15 == KINDS.index(PREDICTED)


def needs(data: bytes, reference: bytes) -> bool:
    """Whether a whole record was predicted from this other one."""
    return is_predicted(data) and data[-2 * _TAIL.size : -_TAIL.size] == reference[-_TAIL.size :]


def unpack_chain(data: bytes | Sequence[bytes]) -> tuple[Record, ...]:
    """Check a record and those before it that it needs, in order, and open them.

    Raises:
        RecordError: as `unpack`; or it is not all that the last one needs, or of several sizes.
    """
    datas = [_bytes(one) for one in (data if isinstance(data, (list, tuple)) else [data])]
    if not datas:
        raise RecordError("there is no record in an empty list")
    if len(datas) > LONGEST_CHAIN:
        raise RecordError(f"a record comes with at most {LONGEST_CHAIN - 1} others")
    chain = tuple(map(unpack, datas))
    if chain[0].reference is not None:
        raise RecordError("a predicted record decodes only behind the one that it needs")
    if not all(map(needs, datas[1:], datas)):
        raise RecordError("a predicted record comes behind another than the one that it needs")
    if any(record.size != chain[0].size for record in chain):
        raise RecordError("record is damaged: its reference has another size")
    return chain


def _bytes(data: bytes) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise RecordError(f"a record is bytes, not {type(data).__name__}")
    return bytes(data)
