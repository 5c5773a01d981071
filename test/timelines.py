"""A small memory for timelines, and what is inside a page."""

import base64
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.likeness import describe
from gaussvae_ros.timeline import write_timeline

START, STEP = 1_700_000_000_000_000_000, 100_000_000  # ns
FORGOTTEN = range(31, 36)  # ids


def scene(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A picture unlike that of another number, uint8 [h, w, 3]."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.kron(small, np.ones((size[1] // 6, size[0] // 8, 1), np.uint8))


def make_bank(path: Path) -> None:
    """Two sessions of two cameras: 60 frames round a circle, ids 31 to 35 of them removed, and 20
    without pose at the same scenes as the first; labels "dock" and "door"."""
    codec = JpegCodec()
    with MemoryBank(path) as bank:
        bank.begin_session("morning", start_ns=START, map_id="ground floor")
        for i in range(60):
            angle = 2 * math.pi * i / 60
            pose = Pose(5 * math.cos(angle), 5 * math.sin(angle), 0.5, 0, 0, 0, 1)
            size = (64, 48) if i % 2 == 0 else (48, 48)
            image = scene(i, size)
            bank.add(
                codec.encode(image),
                stamp_ns=START + i * STEP,
                camera=("front", "rear")[i % 2],
                pose=pose,
                descriptor=describe(image).tobytes(),
                frame_id=("front_optical", "")[i % 2],
            )
        bank.set_label(1, "dock")
        bank.begin_session("evening", start_ns=START + 10**13)
        for i in range(20):
            data = codec.encode(scene(2 * i))
            bank.add(data, stamp_ns=START + 10**13 + i * STEP, camera="front")
        bank.set_label(70, "door")
        bank.remove(list(FORGOTTEN))


def write(path: Path, out: Path, **more: object) -> dict:
    """The page of a memory, written with the codec of the tests."""
    with MemoryBank(path, readonly=True) as bank:
        return write_timeline(out, bank, JpegCodec(), **more)


class Inside(HTMLParser):
    """A page as a browser reads it: the texts of its scripts by id, attributes of all elements."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.scripts, self.elements, self.text = {}, [], ""
        self._open = None
        self.feed(page.read_text())
        self.figures = json.loads(self.scripts["figures"])
        kinds = self.figures["columns"]
        self.columns = {
            name: np.frombuffer(base64.b64decode(self.scripts[f"column-{name}"]), kind)
            for name, kind in kinds.items()
        }

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.elements.append((tag, dict(attributes)))
        self._open = dict(attributes).get("id", "script") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.text += data
        else:
            self.scripts[self._open] = self.scripts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def sheet(self, number: int) -> bytes:
        return base64.b64decode(self.scripts[f"sheet-{number}"])
