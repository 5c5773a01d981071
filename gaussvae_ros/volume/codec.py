"""Volumes to bytes and back.

codec = VolumeCodec()
data = codec.encode(grid, quality=50, voxel_size=0.02, origin=(-1, -1, 0))
grid = codec.decode(data)
part = codec.decode(data, roi=(96, 64, 0, 32, 32, 32))  # first voxel, size; z, y, x
"""

import threading
from numbers import Real
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.volume import block_volumes, label_volumes, level_volumes, model
from gaussvae_ros.volume.checks import checked, checked_place, checked_roi, few, value_range
from gaussvae_ros.volume.choice import levels_for, sample_of
from gaussvae_ros.volume.format import unpack

KINDS = {"labels": label_volumes, "blocks": block_volumes, "levels": level_volumes}


class VolumeCodec:
    """Encodes and decodes volumes. One may be shared by any number of threads.

    `model` is the name or path of the model to encode with.
    """

    def __init__(self, model: str | Path = model.ARCHITECTURE):
        self._name, self._model, self._loading = model, None, threading.Lock()

    def encode(
        self,
        array: np.ndarray,
        quality: float = 50,
        known: np.ndarray | None = None,
        voxel_size: float = 1.0,
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> bytes:
        """A volume as a record; the same arguments give the same bytes.

        A volume of at most eight different values, unknown counting as one, is kept exactly, as
        labels; any other in blocks or in levels, whichever suits a sample of it. Which voxels are
        unknown is kept exactly, too; their values are not.

        Args:
            array: [z, y, x] of a type in `format.DTYPES`; NaN is unknown, and so is what is masked
                in a masked array.
            quality: 0 to 100: a step of 2^(1 - quality / 10) of the range of values, 1/16 at 50.
            known: bool, as large; False where a voxel is unknown. Default: all, but NaN.
            voxel_size: edge of a voxel, m.
            origin: x, y, z of the first voxel's outer corner, m.

        Raises:
            VolumeError: not such an array, or values that are infinite.
            GaussVaeError: another argument is out of range.
            ModelError: the model is not there, or damaged.
        """
        if isinstance(quality, bool) or not isinstance(quality, Real) or not 0 <= quality <= 100:
            raise GaussVaeError(f"quality is a number from 0 to 100, not {quality!r}")
        place = checked_place(voxel_size, origin)
        array, there = checked(array, known)
        made, ends = self._mine(), value_range(array, there)
        if (values := few(array, there)) is not None:
            return label_volumes.encode(array, there, values, place, made)
        args = array, there, round(quality), ends, place, made
        fitted = levels_for(sample_of(array, there), round(quality), ends, made)
        return level_volumes.encode(*args, fitted) if fitted else block_volumes.encode(*args)

    def decode(
        self, data: bytes, roi: tuple[int, int, int, int, int, int] | None = None
    ) -> np.ndarray:
        """A record as an array, or the part `roi` of it: (z, y, x, depth, height, width) in
        voxels.

        Unknown voxels are NaN, or 0 in an array of integers (`known` tells them).

        Raises:
            RecordError: not a volume's record, truncated, altered, or of another version.
            ModelError: the model that it was made with is not at hand.
            GaussVaeError: `roi` is not inside the volume.
        """
        record = unpack(data)
        begin, end = checked_roi(roi, record.shape)
        return KINDS[record.kind].decode(record, begin, end)

    def known(
        self, data: bytes, roi: tuple[int, int, int, int, int, int] | None = None
    ) -> np.ndarray:
        """Which voxels are known: bool, as large as what `decode` gives. Raises as it does."""
        record = unpack(data)
        if record.dtype.kind == "f":
            return ~np.isnan(self.decode(data, roi))
        begin, end = checked_roi(roi, record.shape)
        if not record.unknown:
            return np.ones(end - begin, bool)
        return KINDS[record.kind].known(record, begin, end)

    def _mine(self) -> model.VolumeModel:
        with self._loading:
            if self._model is None:
                self._model = model.load(self._name)
                model.remember(self._model)
        return self._model
