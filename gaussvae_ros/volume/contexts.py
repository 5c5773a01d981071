"""Which context a bit of a block's coefficients is coded in, and what its neighbours predict.

All of it is in integers: it decides what the bits mean.
"""

import numpy as np

from gaussvae_ros.volume.transform import FREQUENCIES, SIDE, SIZE

UNIT = 64  # of coefficients in neighbours' predictions: 1 / UNIT of a step
PREDICTED = 11  # coefficients, the lowest, that neighbours predict
FEATURES = 3 * PREDICTED + 4  # that they are predicted from
SHARE = 1024  # unit of the weights of these
ZONES = np.searchsorted([1, 4, 7, 11, 23, 47, 96, 192], np.arange(SIZE), "right")
ZONE_COUNT = 9

# Where in the table of probabilities each kind of bit begins.
CLASSES = 11  # of how many coefficients a block has: 0, 1, 2, 3..4, 5..8, ..., 257..512
AROUND = 1 + 3 * (2 * CLASSES)  # contexts of that: how many neighbours, and their mean class
LAST = 0
WITHIN = LAST + AROUND * CLASSES
ZERO = WITHIN + CLASSES * 4
ONE_MORE = ZERO + ZONE_COUNT * 8 * 7 * 3
MORE = ONE_MORE + ZONE_COUNT * 8 * 7
ESCAPE = MORE + 8 * 14
CONTEXTS = ESCAPE + 24

NEAR_LEVEL = np.searchsorted([1, 2, 3, 5, 7, 10, 15], np.arange(64), "right")
BLOCK_LEVEL = np.searchsorted([1, 3, 5, 9, 17], np.arange(64), "right")


def _near() -> np.ndarray:
    """[512, 9] places of the coefficients that tell of each one in its own block: three next to
    it, three diagonally, three two away; 512 for those beyond the last."""
    place = np.full((SIDE + 2,) * 3, SIZE)
    place[tuple(FREQUENCIES.T)] = np.arange(SIZE)
    steps = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    steps += [(0, 0, 2), (0, 2, 0), (2, 0, 0)]
    return np.stack([place[tuple((FREQUENCIES + step).T)] for step in steps], 1)


NEAR = _near()
