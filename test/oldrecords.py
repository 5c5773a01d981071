"""Records of the first releases' tier "splats", which this release decodes and no longer makes."""

import numpy as np

from gaussvae_ros.entropy import stream
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.record import Record, pack
from gaussvae_ros.vae.quantise import best_precision, quantise


def splats_record(image: np.ndarray, n: int = 32) -> bytes:
    """A frame in `n` splats, as that tier kept it."""
    levels = Levels(image, n)
    state = descend(levels, EFFORTS["fast"])
    payload = stream.write(quantise(levels, state, best_precision(state), "fast"))
    return pack(Record("splats", (image.shape[1], image.shape[0]), payload))
