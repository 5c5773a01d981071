"""What goes into a memory file and comes out of it: frames and poses, and the checks of single
values.
"""

import hashlib
import math
import operator
import unicodedata
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.errors import BankError

LONGEST = 1024  # bytes of a descriptor
INT64 = 2**63  # SQLite's integers go from -INT64 to INT64 - 1
FARTHEST = 1e9  # m, beyond the Moon; the R*Tree's 32-bit floats would take 1e39 but not hold it
NAME_LENGTH = 1000  # characters of a name
LABEL_LENGTH = 200  # characters of a label
# Unicode's control characters, surrogates, line and paragraph separators.
_BREAKING = ("Cc", "Cs", "Zl", "Zp")
NORM_TOLERANCE = (
    0.1  # float32 messages and hand-written quaternions pass, unset or mistaken ones do not
)
ROUNDING = 1e-15  # of a length that was made 1: so a pose that is copied stays the same to the bit


@dataclass(frozen=True)
class Pose:
    """Where the camera was: position in metres and unit quaternion, in the coordinate frame
    `reference`.

    The quaternion is scaled to length 1; one whose length is not within 0.1 of 1 is refused, and so
    are numbers that are not finite and positions beyond 1e9 m.

    Raises:
        BankError: a value that is not a pose.
    """

    x: float  # m
    y: float  # m
    z: float  # m
    qx: float = 0.0
    qy: float = 0.0
    qz: float = 0.0
    qw: float = 1.0
    reference: str = "map"  # as ROS names coordinate frames: "map", "odom"

    def __post_init__(self):
        names = ("x", "y", "z", "qx", "qy", "qz", "qw")
        try:
            numbers = [float(getattr(self, name)) for name in names]
        except (TypeError, ValueError, OverflowError) as error:
            raise BankError(f"pose is not made of numbers: {error}") from error
        if not all(map(math.isfinite, numbers)):
            raise BankError(f"pose has a number that is not finite: {numbers}")
        if max(map(abs, numbers[:3])) > FARTHEST:
            raise BankError(f"pose is farther than {FARTHEST:.0e} m from its origin: {numbers[:3]}")
        norm = math.hypot(*numbers[3:])
        if abs(norm - 1) > NORM_TOLERANCE:
            raise BankError(f"pose has a quaternion of length {norm:.3g}, expected 1")
        if abs(norm - 1) > ROUNDING:
            numbers[3:] = [number / norm for number in numbers[3:]]
        for name, number in zip(names, numbers):
            object.__setattr__(self, name, number)
        reference = name_from_outside("reference frame of the pose", self.reference)
        if not reference:
            raise BankError("reference frame of the pose must not be empty")
        object.__setattr__(self, "reference", reference)

    @property
    def position(self) -> tuple[float, float, float]:
        """(x, y, z) m."""
        return self.x, self.y, self.z

    @property
    def orientation(self) -> tuple[float, float, float, float]:
        """(qx, qy, qz, qw), length 1."""
        return self.qx, self.qy, self.qz, self.qw

    @property
    def array(self) -> np.ndarray:  # float64 [7]
        """Position and orientation in a row, as `gaussvae_ros.poses` computes with them."""
        return np.array([*self.position, *self.orientation])


@dataclass(frozen=True)
class Frame:
    """One stored frame. `records` is what `FrameCodec.decode` takes; `data` is the frame's own
    record, which does not decode alone where it was predicted from that of another frame.
    """

    id: int
    stamp_ns: int
    camera: str
    session: int
    size: tuple[int, int]  # (w, h) px of the camera frame
    tier: str
    label: str | None
    pose: Pose | None
    data: bytes
    frame_id: str = (
        ""  # the camera's coordinate frame in this session, as ROS names it; empty where not known
    )
    # The frame whose record this one needs: there, or removed, or below 0 never one of this file.
    reference: int | None = None
    needed: tuple[bytes, ...] = ()  # the records that `data` needs, each before those that need it
    map_id: str = ""  # the map that the poses of this session are in; empty where not known

    @property
    def records(self) -> list[bytes]:
        """The records that decoding takes, each before those that need it, its own last."""
        return [*self.needed, self.data]


def row_checksum(
    frame_id: int,
    stamp_ns: int,
    camera: str,
    session: int,
    width: int,
    height: int,
    tier: str,
    record: bytes,
) -> int:
    """BLAKE2b, 32 bits, of everything in a frame's row: it ties the record to its id, stamp and
    camera.

    Not another CRC-32: a record ends in its own, which makes the CRC-32 of any whole record the
    same number, so that a row with another frame's record would pass.
    """
    facts = f"{frame_id} {stamp_ns} {camera} {session} {width} {height} {tier}\n"
    return int.from_bytes(
        hashlib.blake2b(facts.encode() + record, digest_size=4).digest(), "little"
    )


def checked_int(what: str, value: int) -> int:
    """`value` as an int that SQLite can hold; numpy integers pass, floats and bools do not."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise BankError(f"{what} must be an integer, not {value!r}")
    if not -INT64 <= number < INT64:
        raise BankError(f"{what} does not fit into 64 bits: {number}")
    return number


def checked_text(what: str, value: str) -> str:
    """`value` if it is a name that can be stored and printed on one line, of at most 1,000
    characters.
    """
    if not isinstance(value, str) or not value:
        raise BankError(f"{what} must be text on one line and not empty, not {value!r}")
    for character in value:
        if unicodedata.category(character) in _BREAKING:
            raise BankError(
                f"{what} must be text on one line, and U+{ord(character):04X} is not:"
                f" {value[:80]!r}"
            )
    return _checked_length(what, value, NAME_LENGTH)


def checked_label(value: str) -> str:
    """`value` if it is a label: a name as above, of at most 200 characters."""
    return _checked_length("label", checked_text("label", value), LABEL_LENGTH)


def checked_map(value: str) -> str:
    """`value` if it names a map: a name as above, or empty where the map is not known."""
    return value if value == "" else checked_text("map_id", value)


def name_from_outside(what: str, value: str) -> str:
    """A name that other programs chose, such as a coordinate frame: kept as it is, whatever its
    characters.

    Halves of surrogate pairs, which UTF-8 has not, become question marks; what is beyond 1,000
    characters is cut off.
    """
    if not isinstance(value, str):
        raise BankError(f"{what} must be text, not {value!r}")
    return value[:NAME_LENGTH].encode(errors="replace").decode()


def _checked_length(what: str, value: str, longest: int) -> str:
    if len(value) > longest:
        raise BankError(
            f"{what} has at most {longest} characters, not {len(value)}: {value[:40]!r}..."
        )
    return value


def checked_descriptor(descriptor: bytes) -> bytes:
    """`descriptor` if it is 1 to 1,024 bytes."""
    if not isinstance(descriptor, (bytes, bytearray, memoryview)):
        raise BankError(f"a descriptor is made of bytes, not {type(descriptor).__name__}")
    if not 1 <= len(descriptor := bytes(descriptor)) <= LONGEST:
        raise BankError(f"a descriptor has 1 to {LONGEST} bytes, not {len(descriptor)}")
    return descriptor
