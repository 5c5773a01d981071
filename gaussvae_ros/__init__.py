"""gaussvae_ros: a robot's visual memory, camera frames kept as 2D Gaussian splats."""

__version__ = "0.1.0"
