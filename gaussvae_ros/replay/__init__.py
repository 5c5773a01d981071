"""A bag through codec and bank, measured."""

from gaussvae_ros.replay.run import replay

__all__ = ["replay"]
