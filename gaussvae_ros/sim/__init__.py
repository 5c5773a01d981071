"""A simulated robot drive as a bag, deterministic: a building, a camera, two rounds of a loop."""

from gaussvae_ros.sim.drive import write_drive

__all__ = ["write_drive"]
