"""An archive of two robots with real pictures, and what work on it leaves."""

import json
from pathlib import Path

import cv2
import numpy as np
from fleets import START

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.fleet.archive import Archive
from gaussvae_ros.fleet.push import push
from gaussvae_ros.record import is_predicted


def make_robots(folder: Path) -> None:
    """An archive `fleet` of two robots, and their memories beside it: records of real pictures,
    most predicted from others; every eighth frame has a descriptor.
    """
    codec = FrameCodec(device="cpu")
    for seed, frames in enumerate((24, 9)):
        small = np.random.default_rng(seed).integers(0, 256, (8, 20, 3), np.uint8)
        wide = cv2.resize(small, (240, 72), interpolation=cv2.INTER_CUBIC)
        path, key, first = folder / f"robot{seed}.db", b"", None
        with MemoryBank(path) as bank:
            bank.begin_session("tour", start_ns=START + seed, map_id="hall")
            for i in range(frames):
                image = np.ascontiguousarray(wide[:, 4 * i : 4 * i + 96])
                data = codec.encode(image, 60, reference=key if i % 5 else None)
                alone = not is_predicted(data)
                number = bank.add(
                    data,
                    stamp_ns=START + i * 10**9,
                    camera="front/left",
                    pose=Pose(i, 0, 0),
                    descriptor=bytes([seed]) * 128 if i % 8 == 3 else None,
                    reference=None if alone else first,
                )
                if i % 5 == 0:
                    key, first = data, number
        with MemoryBank(path, readonly=True) as bank:
            push(bank, Archive(folder / "fleet"), f"robot{seed}")


def gaussvae(capsys, *argv: object) -> tuple[int, dict, str]:
    code = main(["fleet", "run", *map(str, argv), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if code != 2 else {}, said.err


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(folder: Path) -> list[dict]:
    """Of all Parquet files below a folder, by their paths."""
    from pyarrow import parquet

    return [
        row
        for path in sorted(folder.rglob("*.parquet"))
        for row in parquet.ParquetFile(path).read().to_pylist()
    ]
