"""The envelope of a stored volume.

    offset  bytes
    0       1      magic 0xA6
    1       1      format version (high nibble), kind (low nibble): 0 labels, 1 blocks, 2 levels
    2       1      number type (low nibble), 16 if some voxels are unknown, 32 if there is a place
    3       6      voxels along z, y, x, little endian as all that follows
    9       28     the place, if there is one: voxel size, m, float32; origin x, y, z, m, float64
            3      hash of the model
    labels  1      number of labels, then each as the number type has it; the first is that of
                   unknown voxels, if there are some
    blocks  17     step (quality as a byte); the values that 0 and 1 stand for, float64
    levels  17     quality; the values that the first and the last level stand for, float64
            4      the last level, length of the chances, each two bytes
            n      the chances, see level_table.py
            46     how to predict, see prediction.py: 23 numbers of two bytes with their signs
            56     the weights of smoothing.py, in parts of 128, each a byte with its sign
            n      lengths of the chunks, in order of z, y, x, seven bits a byte, the lowest first
            n      the chunks: 32x32x32 voxels each, fewer at the ends
            4      CRC-32 of everything before it

Any chunk decodes without the others.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np

from gaussvae_ros import lengths
from gaussvae_ros.errors import RecordError
from gaussvae_ros.volume_record import Envelope, open_envelope, seal

KINDS = ("labels", "blocks", "levels")
DTYPES = tuple(map(np.dtype, ("uint8", "uint16", "float16", "float32", "bool", "int8", "int16")))
CHUNK = 32  # voxels along each axis
UNKNOWN = 16
HASH = 3  # bytes
MAX_SIDE = 65535
LARGEST = 1 << 31  # voxels
NOWHERE = 1.0, (0.0, 0.0, 0.0)  # voxel size and origin of a volume without a place
MOST_LABELS = 8
MOST_TOP = 513  # the last level, of quality 100
PLAN, WEIGHTS = np.dtype("<i2"), np.dtype("i1")  # what records of levels say of them
PLAN_SIZE, WEIGHTS_SIZE = 23, 56
_RANGE, _LEVELS = struct.Struct("<Bdd"), struct.Struct("<HH")


@dataclass(frozen=True)
class VolumeRecord:
    """A volume's record, checked.

    `shape` is in voxels along z, y, x (or whatever the axes of the array were); `labels` are the
    values of a volume of few, else `low`, `high` those that 0 and 1 stand for; `top`, `table`,
    `plan` and `weights` are of levels alone. Voxel k along an axis has its centre at `origin` +
    (k + 1/2) `voxel_size`, origin in x, y, z.
    """

    kind: str
    dtype: np.dtype
    shape: tuple[int, int, int]
    model: bytes
    voxel_size: float = 1.0  # m
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m
    unknown: bool = False  # whether there are unknown voxels, but for NaN among labels
    labels: np.ndarray | None = None
    quality: int = 0
    low: float = 0.0
    high: float = 0.0
    top: int = 0
    table: bytes = b""
    plan: np.ndarray | None = None  # int64 [PLAN_SIZE]
    weights: np.ndarray | None = None  # int8 [WEIGHTS_SIZE]
    data: bytes = b""
    starts: np.ndarray | None = None  # int64 [chunks + 1] places in `data`

    @property
    def chunks(self) -> tuple[int, int, int]:
        """Chunks along each axis."""
        return tuple(-(-side // CHUNK) for side in self.shape)


def step_of(quality: int) -> float:
    """The step of a quality, as a part of the range of values."""
    return 2 ** (1 - quality / 10)


def pack(record: VolumeRecord, chunks: list[bytes]) -> bytes:
    """The bytes of a volume, given its chunks."""
    flags = DTYPES.index(record.dtype) | (UNKNOWN if record.unknown else 0)
    place = record.voxel_size, record.origin
    if record.kind == "labels":
        values = record.labels.astype(record.dtype.newbyteorder("<"))
        own = bytes([len(values)]) + values.tobytes()
    else:
        own = _RANGE.pack(record.quality, record.low, record.high)
    if record.kind == "levels":
        own += _LEVELS.pack(record.top, len(record.table)) + record.table
        own += record.plan.astype(PLAN).tobytes() + record.weights.astype(WEIGHTS).tobytes()
    body = b"".join([record.model, own, lengths.pack(map(len, chunks)), *chunks])
    return seal(Envelope(KINDS.index(record.kind), flags, record.shape, *place), body)


def unpack(data: bytes) -> VolumeRecord:
    """Check a volume's record and open it.

    Raises:
        RecordError: not one, truncated, altered, or of another version.
    """
    envelope = open_envelope(data)
    if envelope.kind >= len(KINDS) or envelope.flags & 15 >= len(DTYPES):
        raise RecordError("volume record says a kind, type or size that there is not")
    try:
        return _opened(data, envelope)
    except (struct.error, ValueError, IndexError) as error:
        raise RecordError(f"volume record is damaged: {error}") from error


def _opened(data: bytes, envelope: Envelope) -> VolumeRecord:
    at, end, found = envelope.begin, envelope.end, {}
    kind, dtype, shape = KINDS[envelope.kind], DTYPES[envelope.flags & 15], envelope.shape
    model, at = bytes(data[at : at + HASH]), at + HASH
    if kind == "labels":
        count, at = data[at], at + 1
        if not 1 <= count <= MOST_LABELS:
            raise ValueError(f"it has {count} labels")
        values = np.frombuffer(data, dtype.newbyteorder("<"), count, at)
        found["labels"], at = values.astype(dtype), at + values.nbytes
    else:
        found["quality"], found["low"], found["high"] = _RANGE.unpack_from(data, at)
        at += _RANGE.size
        least, most = _limits(dtype)
        if not least <= found["low"] <= found["high"] <= most or found["quality"] > 100:
            raise ValueError("it says a range of values or a quality that there is not")
    if kind == "levels":
        (found["top"], length), at = _LEVELS.unpack_from(data, at), at + _LEVELS.size
        found["table"], at = bytes(data[at : at + length]), at + length
        plan = np.frombuffer(data, PLAN, PLAN_SIZE, at)
        found["plan"], at = plan.astype(np.int64), at + plan.nbytes
        found["weights"] = np.frombuffer(data, WEIGHTS, WEIGHTS_SIZE, at)
        at += WEIGHTS_SIZE
        if not 1 <= found["top"] <= MOST_TOP or at > end:
            raise ValueError("it says levels that there are not")
    count = math.prod(-(-side // CHUNK) for side in shape)
    if count > end - at or math.prod(shape) > LARGEST:
        raise ValueError("it is too short for its size")
    starts = lengths.read(data, at, end, count)
    if starts is None:
        raise RecordError("volume record is damaged: its chunks do not fill it")
    return VolumeRecord(
        kind, dtype, shape, model, envelope.voxel_size, envelope.origin,
        unknown=bool(envelope.flags & UNKNOWN), data=data, starts=starts, **found,
    )  # fmt: skip


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """The least and the largest finite value of a type."""
    if dtype.kind == "b":
        return 0.0, 1.0
    facts = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return float(facts.min), float(facts.max)
