"""Descriptors of frames, and what is learned on their splats without drawing them."""
