"""Records of format version 1 as they were written, of both kinds: they decode for ever.

Another reading of the same bytes must raise record.VERSION.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.entropy import stream
from gaussvae_ros.entropy.coder import Reader
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.record import VERSION, unpack
from gaussvae_ros.vae.latent import HEADER
from gaussvae_ros.vae.models import HASH_BYTES, Models

DATA = Path(__file__).parent / "data"
RECORDS = {"splats": f"version{VERSION}.record", "latent": f"latent{VERSION}.record"}
SYMBOLS = {  # SHA-256 of what they say
    "splats": "b9286d413054627d1b34a79542fd59fddc24e72766793b65a86fa8f9bcefbe74",
    "latent": "4104b694b5bdf703f720b37a286faa16bbabb83c21aba8b6596a5d7c25da72de",
}


def picture() -> np.ndarray:
    """The frame that was encoded, uint8 [120, 160, 3]."""
    y, x = np.mgrid[:120, :160]
    disc = (x - 60) ** 2 + (y - 50) ** 2 < 900
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
