"""Splats to image, and the gradient of that: three backends with one meaning (reference.py states it)."""

CUT = 3.0  # standard deviations; beyond it a splat's weight is zero
EPS = 1e-6  # keeps a pixel that no splat reaches at zero
