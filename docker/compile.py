"""Lets numba compile what the nodes need, so that a container starts in seconds."""

import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.likeness import describe

codec = FrameCodec(device="cpu")
colour = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
for image in (colour, colour[..., 0]):
    for tier in ("latent", "splats"):
        codec.decode(codec.encode(image, tier=tier), size=(96, 96))
    describe(image)
