"""A frame as a camera might see it, the codec that most tests share, and a Python of its own."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.record import unpack
from gaussvae_ros.vae.latent import HEADER
from gaussvae_ros.vae.models import HASH_BYTES

ROOT = Path(__file__).parents[1]
CODEC = FrameCodec(device="cpu")


def frame(width: int = 160, height: int = 120, seed: int = 0) -> np.ndarray:  # uint8 [h, w, 3]
    """Soft shapes, some hard edges and a little noise."""
    rng = np.random.default_rng(seed)
    soft = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
    image = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(4):
        a, b = (tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height)) for _ in range(2))
        cv2.rectangle(image, a, b, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def count_of(record: bytes) -> int:
    """How many splats a record holds, of colour or not."""
    packed = unpack(record).payload[HASH_BYTES + 1 : HEADER]
    return int.from_bytes(packed, "little") & 0x7FFF


def run_python(code: str, *arguments: object) -> str:
    """What a program prints, run from the repository's root."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test")])}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
