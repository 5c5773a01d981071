"""Kernels compiled, and the model loaded, before somebody waits for that or measures something."""

import numpy as np

from gaussvae_ros.record import TIERS

SIZE = (160, 120)  # px


def warm_up(codec, tier: str, effort: str = "fast") -> None:
    """Let a codec do once all that its first frames and recalls of a tier would do besides."""
    x, y = np.meshgrid(*map(np.arange, SIZE))
    colour = np.uint8(np.stack([x + y, x, 2 * y], axis=-1) % 256)
    for image in (colour, colour[..., 0]):
        data = codec.encode(image, tier=tier, quality=0, effort=effort)
        for size in (None, (SIZE[0] // 4, SIZE[1] // 4)):
            codec.decode(data, size=size)


def compile_kernels() -> None:
    """Compile all that codec and simulation take; what was compiled before stays as it is."""
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.sim import building, camera

    codec = FrameCodec(device="cpu")
    for tier in TIERS:
        warm_up(codec, tier)
    camera.render(building.build(0), 0.0, 0.0, 0.6, 0.0, SIZE, float(SIZE[0]))
