"""Descriptors as a memory file stores them: with a checksum, and in half the bytes where it can be.

Where all numbers are of 4 bits, -8 to 7, as those of descriptors of places are, two of them are
stored in a byte: 16 (first + 8) + second + 8. Nothing is lost by it. The checksum of such a row is
below 0.
"""

from zlib import crc32

import numpy as np

_IDS = 0xFFFFFFFF
_SMALL = bytes(number & 255 for number in range(-8, 8))
# A byte's two numbers are the two digits that it is written with.
_DIGITS = bytes.maketrans(_SMALL, b"0123456789abcdef")
_NUMBERS = bytes.maketrans(b"0123456789abcdef", _SMALL)


def packed(frame_id: int, descriptor: bytes) -> tuple[int, int, bytes]:
    """The row that stores a frame's descriptor: frame, checksum, descriptor. The checksum is begun
    with the frame's id, so that a descriptor does not pass as another frame's.
    """
    if len(descriptor) % 2 or descriptor.translate(None, _SMALL):
        return frame_id, crc32(descriptor, frame_id & _IDS), descriptor
    stored = bytes.fromhex(descriptor.translate(_DIGITS).decode())
    return frame_id, ~crc32(stored, frame_id & _IDS), stored


def unpacked(frame_id: int, checksum: int, stored: bytes) -> bytes | None:
    """The descriptor of a row; None where it is damaged."""
    if not are_sound([(frame_id, checksum, stored)])[0]:
        return None
    return stored.hex().encode().translate(_NUMBERS) if checksum < 0 else stored


def are_sound(rows: list[tuple[int, int, bytes]]) -> list[bool]:
    """Which of some rows are as they were written."""
    try:
        return [
            (crc := crc32(stored, number & _IDS)) == checksum or ~crc == checksum
            for number, checksum, stored in rows
        ]
    except TypeError:  # other than bytes, by damage
        if len(rows) == 1:
            return [False]
        return [sound for row in rows for sound in are_sound([row])]


def length(checksum: int, size: int) -> int:
    """How many numbers the descriptor of a row has, of which `size` bytes are stored."""
    return 2 * size if checksum < 0 else size


def numbers(rows: np.ndarray) -> np.ndarray:
    """The numbers, int8 [M, N], of rows as they are stored: int8 [M, N], or, packed, uint8
    [M, N / 2].
    """
    if rows.dtype == np.int8:
        return rows
    digits = rows.tobytes().hex().encode().translate(_NUMBERS)
    return np.frombuffer(digits, np.int8).reshape(len(rows), 2 * rows.shape[1])
