"""Prepared samples as batches: random access, exact augmentation, an order that can resume."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from gaussvae_ros.errors import DataError
from gaussvae_ros.kernels import kernel
from gaussvae_ros.splats import COLOUR, THETA, X, morton_order, wrap_angle
from gaussvae_ros.training.crops import PARTS
from gaussvae_ros.training.model import Batch
from gaussvae_ros.training.prepare import FORMAT, SHARD, sample_type, shard_path

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
GREY = 0.15  # share of augmented samples without colour: robots have mono cameras too


class Shards:
    """One part of a folder that `gaussvae train prepare` filled."""

    def __init__(self, folder: str | Path, part: str = "train") -> None:
        """Open the samples of "train" or "valid".

        Raises:
            DataError: no such folder or part, samples of another format, an unfinished preparation,
                or files missing or cut short.
        """
        self.folder, self.part = Path(folder), part
        if part not in PARTS:
            raise DataError(f"samples have the parts {' and '.join(PARTS)}, not {part!r}")
        self.manifest = _manifest(self.folder)
        self.size: tuple[int, int] = tuple(self.manifest["asked"]["size"])  # (w, h) px
        self._count = self.manifest["parts"][part]["samples"]
        self._type = sample_type(self.size)
        if not self._count:
            raise DataError(
                f"{self.folder} has no samples in its part {part!r}: prepare more pictures"
            )
        counts = [min(SHARD, self._count - first) for first in range(0, self._count, SHARD)]
        self._starts = [self._check(number, count) for number, count in enumerate(counts)]

    def __len__(self) -> int:
        return self._count

    def batch(
        self,
        indices: np.ndarray,  # [B] int
        picture: tuple[int, int] = (160, 120),
        augment: np.random.Generator | None = None,
    ) -> Batch:
        """Samples with pictures averaged to `picture` (w, h) px, varied at random by `augment`.

        Augmentation changes splats and pictures alike: half of the samples are mirrored left
        to right, and all colours go through `random_colours`. A rendering is affine in its
        splats' colours, so the augmented splats render to the augmented picture (up to the
        mid-grey background, which shows only where splats hardly reach). Neither is clamped:
        few values leave 0 to 1.

        Raises:
            DataError: the prepared crops are no multiple of `picture`, or a shard was cut short.
            IndexError: an index out of range.
            OSError: a shard cannot be read.
        """
        if self.size[0] % picture[0] or self.size[1] % picture[1]:
            whole, asked = ("x".join(map(str, size)) for size in (self.size, picture))
            raise DataError(
                f"samples of {whole} px cannot be averaged to {asked} px: not a divisor"
            )
        splats, pixels = self._read(np.asarray(indices))
        n = len(splats)
        flip, matrix, offset = np.zeros(n, bool), np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3))
        if augment is not None:
            flip, (matrix, offset) = augment.random(n) < 0.5, random_colours(augment, n)
            splats[flip] = mirrored(splats[flip], self.size)
            splats[..., COLOUR:] = (
                splats[..., COLOUR:] @ matrix.transpose(0, 2, 1) + offset[:, None]
            )
        pictures = np.empty((n, 3, picture[1], picture[0]), np.float32)
        _average(pixels, flip, matrix.astype(np.float32), offset.astype(np.float32), pictures)
        return Batch(torch.from_numpy(splats), self.size, torch.from_numpy(pictures))

    def iterate(
        self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[np.ndarray]:  # [batch_size] int64
        """Indices for `batch` from step `start` on; epochs take each sample once, in a new order.

        The order depends on `seed` alone. Of `world` processes that count the same steps, each gets
        the part `rank` of a step's `world * batch_size` samples. A step may hold the end of one
        epoch and the beginning of the next.
        """
        epoch, order, step = -1, None, start
        while True:
            first = (step * world + rank) * batch_size
            indices = np.empty(batch_size, np.int64)
            for i, place in enumerate(range(first, first + batch_size)):
                if place // self._count != epoch:
                    epoch = place // self._count
                    order = np.random.default_rng([seed, epoch]).permutation(self._count)
                indices[i] = order[place % self._count]
            yield indices
            step += 1

    def _read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float32 [B, N, 8] and uint8 [B, h, w, 3] of some samples."""
        if len(indices) and not (0 <= indices.min() and indices.max() < self._count):
            raise IndexError(f"samples are 0 to {self._count - 1}")
        splats = np.empty((len(indices), *self._type["splats"].shape), np.float32)
        pixels = np.empty((len(indices), *self._type["picture"].shape), np.uint8)
        for i, index in enumerate(indices.tolist()):
            number, row = divmod(index, SHARD)
            path = shard_path(self.folder, self.part, number)
            with open(
                path, "rb", buffering=0
            ) as file:  # from a cold disk 8 times as fast as a memory map
                file.seek(self._starts[number] + row * self._type.itemsize)
                if file.readinto(splats[i]) + file.readinto(pixels[i]) != self._type.itemsize:
                    raise DataError(f"{path} was cut short")
        return splats, pixels

    def _check(self, number: int, count: int) -> int:
        """Where the samples of a shard begin, bytes; DataError unless it holds `count` of them."""
        path = shard_path(self.folder, self.part, number)
        try:
            with open(path, "rb") as file:
                np.lib.format.read_magic(file)
                shape, _, kind = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
        except FileNotFoundError:
            raise DataError(
                f"{path} is missing: delete manifest.json beside it, and prepare again"
            ) from None
        except ValueError as error:
            raise DataError(f"{path} is not a shard, or damaged: {error}") from None
        if kind != self._type or shape != (count,):
            raise DataError(f"{path} is not the shard that the manifest describes")
        if path.stat().st_size != start + count * self._type.itemsize:
            raise DataError(
                f"{path} is cut short: delete it and manifest.json beside it, and prepare again"
            )
        return start


def mirrored(splats: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Canonical splats [B, N, 8] of images of `size` (w, h) px, mirrored left to right."""
    splats = splats.copy()
    splats[..., X] = np.float32(size[0]) - splats[..., X]
    splats[..., THETA] = wrap_angle(-splats[..., THETA])
    return np.take_along_axis(splats, morton_order(splats[..., :2], size)[..., None], 1)


def random_colours(
    rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray]:  # [n, 3, 3], [n, 3]
    """`n` random affine maps of colour, c -> matrix c + offset, as of other light and cameras.

    Contrast about mid-grey 0.7 to 1.15, brightness as far as that leaves room (and 0.05),
    saturation 0.6 to 1.2, gains of 0.93 to 1.07 per channel; GREY of them have no colour at all.
    """
    contrast, brightness = rng.uniform(0.7, 1.15, n), rng.uniform(-1, 1, n)
    saturation, gain = rng.uniform(0.6, 1.2, n), rng.uniform(0.93, 1.07, (n, 3))
    grey = rng.random(n) < GREY
    saturation[grey], gain[grey] = 0, 1
    s = saturation[:, None, None]
    matrix = (contrast[:, None] * gain)[..., None] * (s * np.eye(3) + (1 - s) * LUMA)
    offset = (1 - contrast) / 2 + brightness * (np.maximum(1 - contrast, 0) / 2 + 0.05)
    return matrix, np.repeat(offset[:, None], 3, axis=1)


def _manifest(folder: Path) -> dict:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        known, complete = manifest["format"] == FORMAT, manifest["complete"]
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no training data: fill it with `gaussvae train prepare`"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not a manifest of training data") from None
    if not known:
        raise DataError(
            f"{folder} has samples of format {manifest['format']},"
            f" this release reads format {FORMAT}"
        )
    if not complete:
        raise DataError(
            f"{folder} is not finished: repeat the `gaussvae train prepare` that began it"
        )
    return manifest


@kernel(fastmath={"contract"})
def _average(pixels, flip, matrix, offset, out):
    """Area means of pixels [B, H, W, 3] uint8 to out [B, 3, h, w], mirrored and recoloured."""
    count, height, width, _ = pixels.shape
    h, w = out.shape[2:]
    tall, wide = height // h, width // w
    scale = np.float32(1 / (255 * tall * wide))
    rows, sums = np.empty(width * 3, np.int32), np.empty((3, w), np.float32)
    for b in range(count):
        for y in range(h):
            rows[:] = 0
            for dy in range(tall):
                row = pixels[b, y * tall + dy].reshape(-1)
                for k in range(width * 3):
                    rows[k] += row[k]
            for x in range(w):
                red, green, blue = np.int32(0), np.int32(0), np.int32(0)
                for k in range(3 * x * wide, 3 * (x + 1) * wide, 3):
                    red += rows[k]
                    green += rows[k + 1]
                    blue += rows[k + 2]
                to = w - 1 - x if flip[b] else x
                sums[0, to], sums[1, to], sums[2, to] = red, green, blue
            for c in range(3):  # in a loop of its own, and hoisted by hand: this vectorises
                m0, m1, m2 = (
                    matrix[b, c, 0] * scale,
                    matrix[b, c, 1] * scale,
                    matrix[b, c, 2] * scale,
                )
                plus, line = offset[b, c], out[b, c, y]
                for x in range(w):
                    line[x] = m0 * sums[0, x] + m1 * sums[1, x] + m2 * sums[2, x] + plus
