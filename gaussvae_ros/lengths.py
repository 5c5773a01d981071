"""Lengths of the parts of a record to bytes and back: seven bits a byte, the lowest first, the
eighth set in all but the last byte of each.
"""

from collections.abc import Iterable

import numpy as np

from gaussvae_ros.kernels import kernel

LONGEST = 28  # bits, beyond which no length goes on


def pack(lengths: Iterable[int]) -> bytes:
    """The bytes of some lengths."""
    out = bytearray()
    for length in lengths:
        while length > 127:
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
    return bytes(out)


def read(data: bytes, at: int, end: int, count: int) -> np.ndarray | None:
    """Where the parts begin and the last one ends in `data`, int64 [count + 1], given that their
    lengths stand from `at` on; None where those, or the parts behind them, do not end at `end`.
    """
    starts = np.zeros(count + 1, np.int64)
    used = _sum(np.frombuffer(data, np.uint8, end - at, at), starts)
    return starts + at + used if used >= 0 and at + used + starts[-1] == end else None


@kernel(error_model="numpy")
def _sum(data, starts):
    """Sum up the lengths that `data` begins with; how many bytes they took, or -1."""
    place = 0
    for part in range(len(starts) - 1):
        length, shift = 0, 0
        while True:
            if place == len(data) or shift > LONGEST:
                return -1
            byte = data[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        starts[part + 1] = starts[part] + length
    return place
