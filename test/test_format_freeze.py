"""Records of format version 1 as they were written, of all kinds: they decode for ever.

Another reading of the same bytes must raise record.VERSION.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.entropy import stream
from gaussvae_ros.entropy.changes import Decoded, applied
from gaussvae_ros.entropy.coder import Reader
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.record import VERSION, unpack, unpack_chain
from gaussvae_ros.vae.latent import HEADER
from gaussvae_ros.vae.models import HASH_BYTES, Models

DATA = Path(__file__).parent / "data"
RECORDS = {"splats": f"version{VERSION}.record", "latent": f"latent{VERSION}.record"}
# From the latent one, and from each other, of the picture a while later each.
PREDICTED = f"predicted{VERSION}.record", f"predicted{VERSION}_second.record"
SYMBOLS = {  # SHA-256 of what they say
    "splats": "b9286d413054627d1b34a79542fd59fddc24e72766793b65a86fa8f9bcefbe74",
    "latent": "4104b694b5bdf703f720b37a286faa16bbabb83c21aba8b6596a5d7c25da72de",
}

CHANGES = (
    "c36ee9e20e12d9f89e8e109a33a9583148e0e8225efbe5a9fbddd02f6ac998a3",
    "acec306b1ee627db612a1e668016d23e6abca2144b706f245224c52d5657bac3",
)


def picture(turn: int = 0) -> np.ndarray:
    """The frame that was encoded, uint8 [120, 160, 3], so many turns after the first."""
    y, x = np.mgrid[:120, :160]
    disc = (x - 60 - 7 * turn) ** 2 + (y - 50 - 3 * turn) ** 2 < 900
    return np.stack([x * 255 // 159, y * 255 // 119, np.where(disc, 230, 40)], 2).astype(np.uint8)


def said(tier: str) -> Grid:
    """The integers of a record."""
    record = unpack((DATA / RECORDS[tier]).read_bytes())
    assert record.tier == tier and record.size == (160, 120)
    name, payload = b"", record.payload
    if tier == "latent":
        name, payload = payload[:HASH_BYTES], payload[HASH_BYTES:]
    precision, count, data = payload[0], int.from_bytes(payload[1:3], "little"), payload[3:]
    if tier == "splats":
        return stream.code(Reader(data), record.size, count, precision, 3, None)
    assert record.payload[HEADER:] == data
    return Models().get(name).prior.read(data, record.size, count, precision, 3)


def chain(length: int) -> list[bytes]:
    """The latent record and those predicted from it, up to so many."""
    return [(DATA / name).read_bytes() for name in (RECORDS["latent"], *PREDICTED)[:length]]


@pytest.mark.parametrize("tier", RECORDS)
def test_the_symbols_are_those_that_were_written(tier):
    grid = said(tier)
    parts = [grid.cell, grid.scale, grid.aspect, grid.angle, grid.shift, grid.colour]
    whole = b"".join(part.astype("<i8").tobytes() for part in parts)
    assert hashlib.sha256(whole).hexdigest() == SYMBOLS[tier]


@pytest.mark.parametrize("tier", RECORDS)
def test_the_picture_is_the_one_that_was_encoded(tier):
    back = FrameCodec().decode((DATA / RECORDS[tier]).read_bytes())
    error = back.astype(float) - picture()
    assert np.sqrt(np.square(error).mean()) < 255 * 10 ** (-30 / 20)  # 30 dB


def test_the_changes_are_those_that_were_written():
    splats = Decoded.of(said("latent"))
    for record, expected in zip(unpack_chain(chain(3))[1:], CHANGES, strict=True):
        name, precision = record.payload[:HASH_BYTES], record.payload[HASH_BYTES]
        made = Models().get(name).prior.read(record.payload[HASH_BYTES + 1 :], splats, precision)
        new = made.new
        parts = [made.motion.coefficients, made.kind, made.move, made.shape, made.colour, new.cell]
        parts += [new.scale, new.aspect, new.angle, new.shift, new.colour]
        whole = b"".join(part.astype("<i8").tobytes() for part in parts)
        assert hashlib.sha256(whole).hexdigest() == expected
        splats = applied(splats, made)


@pytest.mark.parametrize("length", [2, 3])
def test_the_pictures_are_those_that_were_predicted(length):
    back = FrameCodec().decode(chain(length))
    error = back.astype(float) - picture(length - 1)
    assert np.sqrt(np.square(error).mean()) < 255 * 10 ** (-27 / 20)  # 27 dB
