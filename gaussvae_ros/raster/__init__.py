"""Splats to image, and the gradient of that: three backends with one meaning (reference.py states it)."""

import math
import os

import numba

CUT = 3.0  # standard deviations; beyond it a splat's weight is zero
CUT_WEIGHT = math.exp(-CUT * CUT / 2)  # taken off every weight, so that it falls to zero at the cut without a step
EPS = 1e-2  # weight of the background; it shows only where splats hardly reach
BACKGROUND = 0.5  # mid-grey

# Read when torch is imported and when numba's first parallel kernel runs. By default idle threads spin for long until
# the next kernel, and the one that has work, in another program or in the other library, waits for them: a fit of 40 ms
# then took 300 to 600 beside other programs, and training's 15 ms in the rasteriser 60 beside torch's own threads.
# Those that sleep at once wake too late on a quiet machine (47 ms a fit). A short spin has the best of both (37 ms).
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# Where the system has a TBB, numba would take that: a fit then takes three times as long beside other programs, each one
# leaves 2 MB behind, and a process that drew in a thread of its own spins at its end instead of ending. The variable
# alone would come too late where numba is imported already.
numba.config.THREADING_LAYER_PRIORITY = os.environ.get("NUMBA_THREADING_LAYER_PRIORITY", "omp tbb workqueue").split()
