"""Records that need each other, for tests of memory files."""

import random

from hypothesis import strategies as st

from gaussvae_ros.record import PREDICTED, Record, checksum, pack

SIZE = (640, 480)  # px


def record(number: int, *needed: bytes, n: int = 60) -> bytes:
    """A record of `n` random bytes, predicted from the last of `needed` if there are any."""
    payload = random.Random(number).randbytes(n)
    if needed:
        return pack(Record(PREDICTED, SIZE, payload, checksum(needed[-1])))
    return pack(Record("latent", SIZE, payload))


def chain(number: int, length: int = 3) -> list[bytes]:
    """Records of which each needs the one before."""
    made: list[bytes] = []
    for i in range(length):
        made.append(record(10 * number + i, *made))
    return made


def drawn_needs(draw, count: int) -> list[int | None]:
    """For each of so many frames, which one before it its record needs, at most two in a row."""
    needs, depth = [], []
    for i in range(count):
        shallow = [j for j in range(i) if depth[j] < 3]
        needs.append(draw(st.sampled_from([None, *shallow])))
        depth.append(1 if needs[i] is None else depth[needs[i]] + 1)
    return needs
