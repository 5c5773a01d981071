"""The memory file: records with stamp, camera, session, pose and label in one SQLite file. Plain
Python, no torch.
"""

from gaussvae_ros.bank.budget import Budget
from gaussvae_ros.bank.frame import Frame, Pose
from gaussvae_ros.bank.memory import MemoryBank
from gaussvae_ros.bank.texts import Text
from gaussvae_ros.bank.volumes import Volume

__all__ = ["Budget", "Frame", "MemoryBank", "Pose", "Text", "Volume"]
