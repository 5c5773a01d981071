"""Compiles every kernel that storing and recalling take, so that nothing has to wait for that later."""

import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.likeness import describe
from gaussvae_ros.record import TIERS
from gaussvae_ros.sim import building, camera

SIZE = (160, 120)  # px


def compile_kernels() -> None:
    """Run each of them once on what it meets in use; those whose machine code is kept already are not compiled."""
    x, y = np.meshgrid(*map(np.arange, SIZE))
    colour = np.uint8(np.stack([x + y, x, 2 * y], axis=-1) % 256)
    codec = FrameCodec(device="cpu")
    for image in (colour, colour[..., 0]):
        for tier in TIERS:
            data = codec.encode(image, tier)
            for size in (None, (SIZE[0] // 4, SIZE[1] // 4)):
                codec.decode(data, size)
        describe(image)
    camera.render(building.build(0), 0.0, 0.0, 0.6, 0.0, SIZE, float(SIZE[0]))
