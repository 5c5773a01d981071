"""The model at run time: frames to latents and back, the learned prior, and model files.

Needs no torch.
"""
