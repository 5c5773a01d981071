"""Splats to a latent and back: models, their data, losses and training. Only this folder needs torch on a CPU."""
