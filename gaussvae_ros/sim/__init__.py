"""A simulated robot drive: a furnished building, a camera, two laps of a loop, written as a bag. Deterministic."""

from gaussvae_ros.sim.drive import write_drive

__all__ = ["write_drive"]
