"""Splats to image, and the gradient of that: three backends with one meaning (reference.py's)."""

import math

CUT = 3.0  # standard deviations; beyond it a splat's weight is zero
# Taken off every weight, so that it falls to zero at the cut without a step.
CUT_WEIGHT = math.exp(-CUT * CUT / 2)
EPS = 1e-2  # weight of the background; it shows only where splats hardly reach
BACKGROUND = 0.5  # mid-grey
