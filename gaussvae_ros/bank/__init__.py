"""The memory file: records with stamp, camera, session, pose and label in one SQLite file. Plain
Python, no torch.
"""

from gaussvae_ros.bank.file.importing import import_sqlite_utils

import_sqlite_utils()

from gaussvae_ros.bank.forgetting.budget import Budget  # noqa: E402
from gaussvae_ros.bank.frame import Frame, Pose  # noqa: E402
from gaussvae_ros.bank.memory import MemoryBank  # noqa: E402
from gaussvae_ros.bank.search.texts import Text  # noqa: E402
from gaussvae_ros.bank.volumes import Volume  # noqa: E402

__all__ = ["Budget", "Frame", "MemoryBank", "Pose", "Text", "Volume"]
