"""A topological map for image-goal navigation: pictures along a route, numbered from 0.

As `deployment/src/navigate.py` of github.com/robodhruv/visualnav-transformer (GNM, ViNT, NoMaD)
reads them: every file of the folder is a node, in the order of their numbers.
"""

import numpy as np

from gaussvae_ros.bank import Frame
from gaussvae_ros.exports.form import Format


class Topomap(Format):
    """0.png, 1.png, ... and nothing else; a route needs no poses."""

    one_camera = one_session = True
    _count = 0

    def add(self, frame: Frame, image: np.ndarray) -> None:
        (self.folder / f"{self._count}.{self.ending}").write_bytes(self.picture(image))
        self._count += 1
