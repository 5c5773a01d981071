"""A record of format version 1 as it was written: another reading must raise record.VERSION."""

import hashlib
from pathlib import Path

import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.entropy import stream
from gaussvae_ros.entropy.coder import Reader
from gaussvae_ros.record import VERSION, unpack

RECORD = Path(__file__).parent / "data" / f"version{VERSION}.record"
# SHA-256 of what it says.
SYMBOLS = "b9286d413054627d1b34a79542fd59fddc24e72766793b65a86fa8f9bcefbe74"


def picture() -> np.ndarray:
    """The frame that was encoded, uint8 [120, 160, 3]."""
    y, x = np.mgrid[:120, :160]
    disc = (x - 60) ** 2 + (y - 50) ** 2 < 900
    return np.stack([x * 255 // 159, y * 255 // 119, np.where(disc, 230, 40)], 2).astype(np.uint8)


def test_the_symbols_are_those_that_were_written():
    record = unpack(RECORD.read_bytes())
    precision, low, high = record.payload[:3]
    grid = stream.code(Reader(record.payload[3:]), record.size, low | high << 8, precision, 3, None)
    parts = [grid.cell, grid.scale, grid.aspect, grid.angle, grid.shift, grid.colour]
    assert (
        hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()
        == SYMBOLS
    )


def test_the_picture_is_the_one_that_was_encoded():
    error = FrameCodec().decode(RECORD.read_bytes()).astype(float) - picture()
    assert np.sqrt(np.square(error).mean()) < 255 * 10 ** (-30 / 20)  # 30 dB
