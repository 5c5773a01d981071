"""What volumes are compared with: the blockwise networks of Neural Volume Compression, a cosine
transform under our coder, SZ3, zfp, and zstd of rounded values.

Each peer is a function of a volume float32 in 0..1 (NaN nowhere) that gives its curve: [(bytes,
volume), ...], at several of its settings.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.volume import block_volumes, model
from gaussvae_ros.volume.format import NOWHERE, unpack

BOUNDS = [2.0**-k for k in range(2, 10)]  # of an absolute error
QUALITIES = (0, 15, 30, 45, 60, 75, 90)
LAYERS = ("encoder.0", "fc_mu", "decoder.0", "decoder.2")  # of the reference
Curve = list[tuple[int, np.ndarray]]


def cosines(volume: np.ndarray) -> Curve:
    """The blocks' cosine transform with our quantiser and coder, and no network after it."""
    made, network = [], model.load()
    model.remember(network)
    for quality in QUALITIES:
        data = block_volumes.encode(volume, None, quality, (0.0, 1.0), NOWHERE, network)
        begin, end = np.zeros(3, np.int64), np.array(volume.shape)
        made.append((len(data), block_volumes.decode(unpack(data), begin, end, linear=True)))
    return made


def zstd(volume: np.ndarray) -> Curve:
    """zstd, level 19, of the values rounded to 2 to 256 levels."""
    import zstandard

    made = []
    for bits in range(1, 9):
        levels = (1 << bits) - 1
        rounded = np.rint(volume * levels).astype(np.uint8)
        packed = zstandard.ZstdCompressor(level=19).compress(rounded.tobytes())
        made.append((len(packed), rounded.astype(np.float32) / levels))
    return made


def sz3(volume: np.ndarray) -> Curve:
    """SZ3, with bounds of the absolute error."""
    import pysz

    made, given = [], np.ascontiguousarray(volume, np.float32)
    for bound in BOUNDS:
        config = pysz.szConfig()
        config.errorBoundMode, config.absErrorBound = pysz.szErrorBoundMode.ABS, bound
        data, _ = pysz.sz.compress(given, config)
        again, _ = pysz.sz.decompress(data, np.float32, given.shape)
        made.append((len(data), np.clip(again, 0, 1)))
    return made


def zfp(volume: np.ndarray) -> Curve:
    """zfp, with bounds of the absolute error."""
    import zfpy

    made, given = [], np.ascontiguousarray(volume, np.float32)
    for bound in [4.0, 2.0, 1.0, 0.5, *BOUNDS[:-2]]:
        data = zfpy.compress_numpy(given, tolerance=bound)
        made.append((len(data), np.clip(zfpy.decompress_numpy(data), 0, 1)))
    return made


PEERS: dict[str, Callable[[np.ndarray], Curve]] = {
    "3D DCT": cosines, "SZ3": sz3, "zfp": zfp, "zstd": zstd,
}  # fmt: skip


class BlockNetwork:
    """A network of the reference: its `factor` is 8-bit voxels over float32 latents."""

    def __init__(self, path: str | Path):
        """Raises GaussVaeError: not weights of the reference, or no torch."""
        try:
            import torch

            found = torch.load(path, map_location="cpu", weights_only=True)
            state = {k: v.float().numpy() for k, v in found["state_dict"].items()}
            self.side, latent = int(found["in_shape"][-1]), int(found["latent_dim"])
            self.layers = [(state[f"{k}.weight"].T, state[f"{k}.bias"]) for k in LAYERS]
        except ImportError as error:
            raise GaussVaeError("the reference's weights need torch") from error
        except (OSError, KeyError, TypeError, RuntimeError, ValueError) as error:
            raise GaussVaeError(f"{path}: not weights of the reference: {error}") from error
        self.margin = (self.side - 8) // 2
        self.factor = 512 / (4 * latent)
        self.name = f"reference m{self.margin} l{latent}"

    def code(self, volume: np.ndarray) -> np.ndarray:
        """A volume float32 in 0..1 as it comes back: margins are averaged."""
        shape, m, side = volume.shape, self.margin, self.side
        padded = [-(-s // 8) * 8 for s in shape]
        given = np.zeros([s + 2 * m for s in padded], np.float32)
        given[m : m + shape[0], m : m + shape[1], m : m + shape[2]] = volume
        total, count = np.zeros_like(given), np.zeros_like(given)
        for z in range(0, padded[0], 8):
            view = np.lib.stride_tricks.sliding_window_view(
                given[z : z + side], (side, side, side)
            )[0, ::8, ::8]
            made = self._run(view.reshape(-1, side**3)).reshape(*view.shape)
            for y in range(view.shape[0]):
                for x in range(view.shape[1]):
                    part = np.s_[z : z + side, 8 * y : 8 * y + side, 8 * x : 8 * x + side]
                    total[part] += made[y, x]
                    count[part] += 1
        inside = np.s_[m : m + shape[0], m : m + shape[1], m : m + shape[2]]
        return total[inside] / count[inside]

    def _run(self, blocks: np.ndarray) -> np.ndarray:
        """Encode by the mean and decode."""
        first, mean, second, last = self.layers
        hidden = _leaky(blocks @ first[0] + first[1]) @ mean[0] + mean[1]
        hidden = _leaky(hidden @ second[0] + second[1])
        return 1 / (1 + np.exp(-(hidden @ last[0] + last[1])))


def _leaky(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0.01 * values)
