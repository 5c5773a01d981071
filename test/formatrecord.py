"""docs/format.md from the first byte of a record on, as a decoder in plain Python."""

import hashlib
import zlib
from pathlib import Path

import numpy as np
from formatalone import Decoder
from formatpage import Page
from formatpredicted import Predicted
from safetensors.numpy import load_file

PRIOR = "prior."


def tensors_of(path: Path) -> tuple[bytes, dict[str, np.ndarray]]:
    """The name that records have for the model of a file, and what decoding needs of it."""
    held = {
        name.removeprefix(PRIOR): tensor
        for name, tensor in load_file(path).items()
        if name.startswith(PRIOR)
    }
    total = hashlib.sha256()
    for name in sorted(held):
        sizes = ", ".join(map(str, held[name].shape))
        total.update(f"{name} [{sizes}] ".encode() + held[name].astype("<i4").tobytes())
    return total.digest()[:3], held


def read(chain: list[bytes], models: dict[bytes, dict]) -> list[Page]:
    """The decoders of the records of a chain, each of which needs the one before it, run."""
    pages = []
    for k, record in enumerate(chain):
        body, check = record[:-4], int.from_bytes(record[-4:], "little")
        assert record[0] == 0xA5 and record[1] == (0x12 if k else 0x11)
        assert zlib.crc32(body) == check
        size = int.from_bytes(record[2:4], "little"), int.from_bytes(record[4:6], "little")
        name, precision, rest = body[6:9], body[9], body[10:]
        if k == 0:
            packed, stream = int.from_bytes(rest[:2], "little"), rest[2:]
            channels, n = 1 if packed >> 15 else 3, packed & 0x7FFF
            page = Decoder(stream, models[name], size, n, precision, channels)
            page.grid = page.decode()
        else:
            last, stream = pages[-1], rest[:-4]
            assert rest[-4:] == chain[k - 1][-4:] and size == last.size
            before = last.geometry, last.rgb
            page = Predicted(stream, models[name], size, before, precision, last.channels)
            page.decode()
        pages.append(page)
    return pages
