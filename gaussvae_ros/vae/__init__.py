"""Splats to a latent and back: models, their data, losses and training. Only this folder needs torch on a CPU."""

import gaussvae_ros.kernels  # noqa: F401  before torch: sets how long idle threads spin, which torch reads at import
