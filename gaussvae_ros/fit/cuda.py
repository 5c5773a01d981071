"""Many images to splats at once on a CUDA GPU: the fit of fit/__init__.py,
step for step, in batches.

    from gaussvae_ros.fit.cuda import fit_many
    sets = fit_many(images, n=512, effort="fast")

Images of one shape make one batch. Seeds and small copies of the images are made by the CPU, in
a few threads, by the very functions that the CPU fit uses; a step is five kernels, which the
host queues without ever waiting for one. A GPU adds in another order than the CPU, so the
splats of the two come apart as rounding grows over the steps (by no more than 0.2 dB in any
image tried, and nothing in the mean); on one GPU the same arguments give the same splats,
whatever else is in the batch.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.fit import (
    EFFORTS,
    Plan,
    check_arguments,
    check_image,
    follow,
    start,
    to_splats,
)
from gaussvae_ros.fit.adam import BETA1, BETA2, MIN_SIGMA, RATES, Descent, first_row_of
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.fit.reseeding import APART, SIGMA
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS
from gaussvae_ros.raster.cuda import (
    BLOCK,
    FUSE,
    TILE,
    triton,
)  # before what follows: it says so if triton is missing
from gaussvae_ros.splats import Splats

from gaussvae_ros.fit import _kernels  # isort: skip
from gaussvae_ros.raster import _binning  # isort: skip
from gaussvae_ros.raster import _kernels as drawing  # isort: skip

ROOM = 2**31  # bytes of GPU memory that one batch may take, about
THREADS = 4  # more only wait for the interpreter's lock (measured on 2 and on 16 cores)
REACH = {"CUT": CUT, "CUT_WEIGHT": CUT_WEIGHT, "TILE": TILE}


def fit_many(
    images: list[np.ndarray],  # uint8 [H, W, 3] RGB or [H, W] mono, of any sizes
    n: int = 512,
    effort: str = "fast",
    seed: int = 0,
) -> list[Splats]:
    """What `fit` does for each of these images, all at once.

    Raises:
        ImageError: one of them is no such image.
        ValueError: `n` or `effort` out of range.
        GaussVaeError: no CUDA GPU.
    """
    for image in images:
        check_image(image)
    check_arguments(n, effort)
    device = _device()
    out: list[Splats | None] = [None] * len(images)
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in _batches(images, n, EFFORTS[effort]):
            states = _descend([images[k] for k in batch], n, EFFORTS[effort], seed, device, pool)
            for k, state in zip(batch, states, strict=True):
                height, width = images[k].shape[:2]
                out[k] = to_splats(state, (width, height), 3 if images[k].ndim == 3 else 1)
    return out


def _device() -> torch.device:
    if not isinstance(_kernels.update, triton.JITFunction):  # Triton's interpreter, for tests
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise GaussVaeError(
            "a fit in batches needs a CUDA GPU, and torch finds none: fit images one by one"
        )
    return torch.device("cuda", torch.cuda.current_device())


def _batches(images: list[np.ndarray], n: int, plan: Plan) -> Iterator[list[int]]:
    """Places in `images` of those that are fitted together: of one shape, and no
    more than ROOM holds."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, image in enumerate(images):
        groups.setdefault(image.shape, []).append(k)
    for (height, width, *_), members in groups.items():
        pixels = min(width * height, n * max(level.pixels for level in plan.levels))
        tiles = pixels / TILE**2 + (width + height) / TILE + 1
        many = max(1, int(ROOM / (pixels * 4 * 16 + tiles * n * 2)))
        for first in range(0, len(members), many):
            yield members[first : first + many]


def _descend(
    images: list[np.ndarray],
    n: int,
    plan: Plan,
    seed: int,
    device: torch.device,
    pool: ThreadPoolExecutor,
) -> list[Descent]:
    """Run a plan on checked images of one shape."""
    seen = [Levels(image, n) for image in images]

    def target_at(pixels: float, stride: int) -> torch.Tensor:  # [S, B, h, w, 3]
        small = np.stack(list(pool.map(lambda one: one.rows(pixels, stride), seen)), 1)
        level = torch.from_numpy(small).to(device)  # as bytes: a fourth of the way to the GPU
        return level.to(torch.float32) / 255

    states = list(pool.map(lambda one: start(one, seed), seen))
    many = Descents(states, device)
    follow(plan, n, many, images[0].shape[1::-1], target_at, reseed)
    geometry, colour = many.geometry.cpu().numpy(), many.colour.cpu().numpy()
    return [
        Descent(*rows)
        for rows in zip(np.split(geometry, len(images)), np.split(colour, len(images)), strict=True)
    ]


class Descents:
    """The state of B descents of N splats, each as adam.Descent has it, on a GPU; row
    b * N + i is splat i of b."""

    def __init__(self, states: list[Descent], device: torch.device):
        self.batch, self.n = len(states), len(states[0].geometry)
        # [B N, 5] float64.
        self.geometry = torch.from_numpy(np.concatenate([s.geometry for s in states])).to(device)
        # [B N, 3]
        self.colour = torch.from_numpy(np.concatenate([s.colour for s in states])).to(device)
        self.first = self.colour.new_zeros(len(self.colour), 8)
        self.second, self.grad = torch.zeros_like(self.first), torch.empty_like(self.first)
        self.form = self.colour.new_empty(len(self.colour), _binning.FORM)
        self.span = self.colour.new_empty(_binning.SPAN, len(self.colour))
        self.count = 0

    rescale, seen_at = Descent.rescale, Descent.seen_at

    def run(self, target: torch.Tensor, rates: np.ndarray) -> None:
        """Queue one step per entry of `rates` (multiples of RATES) towards
        `target` [S, B, h, w, 3]."""
        stride, _, height, width, _ = target.shape
        total, size = len(self.colour), (self.n, width, height)
        steps = self.count + 1 + np.arange(len(rates))
        table = rates[:, None] / (1 - BETA1.astype(float) ** steps[:, None]) * RATES  # [steps, 8]
        table = torch.from_numpy(table.astype(np.float32)).to(self.colour.device)
        planes = target.new_empty(self.batch, 4, height, width)
        lists = self.empty_lists(target[0])
        for step, row in zip(steps, table, strict=True):
            rows = target[first_row_of(int(step) - 1, stride)]
            self.list_splats(rows, *lists, self.squeezed(int(step) - 1, stride))
            _kernels.residual[lists[0].shape[1::-1]](
                self.form, *lists, rows, planes, *size, triton.cdiv(width, TILE),
                EPS=EPS, BACKGROUND=BACKGROUND, **REACH, num_warps=2, **FUSE,
            )  # fmt: skip
            _kernels.gather[(total,)](
                self.form, self.span, planes, self.grad, total, *size, **REACH, num_warps=4, **FUSE
            )
            _kernels.update[(triton.cdiv(total, BLOCK),)](
                self.grad, self.geometry, self.colour, self.first, self.second, row, total,
                width, stride * height, self.n / (width * height),
                float(1 / (1 - BETA2.astype(float) ** step)), BETA1=float(BETA1),
                BETA2=float(BETA2), MIN_SIGMA=MIN_SIGMA, BLOCK=BLOCK, num_warps=4,
            )  # fmt: skip
        self.count += len(rates)

    def squeezed(self, step: int, stride: int) -> torch.Tensor:  # [B N, 5]
        """The geometry in pixels of the rows that a step sees, as if they were a picture."""
        if stride == 1:
            return self.geometry
        places = self.geometry * self.geometry.new_tensor([1, 1 / stride, 1, stride, 1 / stride])
        places[:, 1] += 0.5 - (0.5 + first_row_of(step, stride)) / stride
        return places

    def empty_lists(self, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Room for the splats of each tile, [B, tiles, N], and for their number, [B, tiles]."""
        tiles = triton.cdiv(target.shape[1], TILE) * triton.cdiv(target.shape[2], TILE)
        lists = torch.empty(self.batch, tiles, self.n, dtype=torch.int16, device=target.device)
        return lists, torch.empty(self.batch, tiles, dtype=torch.int32, device=target.device)

    def list_splats(
        self,
        target: torch.Tensor,
        lists: torch.Tensor,
        counts: torch.Tensor,
        geometry: torch.Tensor | None = None,  # [B N, 5]; None: as it is
    ) -> None:
        """Fill the tables that kernels draw from, and the tiles' lists."""
        total = len(self.colour)
        _kernels.tabulate[(triton.cdiv(total, BLOCK),)](
            self.geometry if geometry is None else geometry,
            self.colour,
            self.form,
            self.span,
            total,
            CUT=CUT,
            BLOCK=BLOCK,
            num_warps=4,
        )
        _binning.list_splats[counts.shape[::-1]](
            self.span, lists, counts, total, self.n, triton.cdiv(target.shape[2], TILE),
            TILE=TILE, BLOCK=BLOCK, num_warps=1,
        )  # fmt: skip


def reseed(state: Descents, target: torch.Tensor, share: float) -> None:
    """As reseeding.reseed, for each picture of a batch."""
    batch, height, width, _ = target.shape
    size, tiles_x = (state.n, width, height), triton.cdiv(width, TILE)
    lists = state.empty_lists(target)
    state.list_splats(target, *lists)
    image, inverse = torch.empty_like(target), target.new_empty(batch, height, width)
    drawing.forward[lists[0].shape[1::-1]](
        state.form, *lists, image, inverse, *size, tiles_x,
        C=3, SAVE=True, EPS=EPS, BACKGROUND=BACKGROUND, **REACH, num_warps=2, **FUSE,
    )  # fmt: skip
    worth = target.new_empty(batch, state.n)
    _kernels.worth[(worth.numel(),)](
        state.form, state.span, image, inverse, target, worth, worth.numel(), *size,
        EPS=EPS, **REACH, num_warps=4, **FUSE,
    )  # fmt: skip
    sigma = SIGMA * math.sqrt(height * width / state.n)
    gain = _blurred(target - image, sigma).square().sum(3)
    reach = 2 * math.ceil(APART * sigma) + 1  # px
    highest = torch.nn.functional.max_pool2d(gain[:, None], reach, 1, reach // 2)[:, 0]
    gain = torch.where(gain == highest, gain, 0).flatten(1)
    gain, peaks = (
        t[:, : round(state.n * share)] for t in gain.sort(dim=1, descending=True, stable=True)
    )
    moved = worth.argsort(dim=1, stable=True)[:, : gain.shape[1]]
    moved = (moved + state.n * torch.arange(batch, device=target.device)[:, None])[:, :, None]
    x, y = peaks % width + 0.5, peaks // width + 0.5
    new = torch.stack(
        [x, y, *torch.tensor([sigma, 0, sigma]).to(x)[:, None, None].expand(3, *x.shape)], 2
    ).double()
    colour = (
        _blurred(target, max(sigma / 2, 0.5))
        .flatten(1, 2)
        .gather(1, peaks[:, :, None].expand(-1, -1, 3))
    )
    for table, rows in (
        (state.geometry, new),
        (state.colour, colour),
        (state.first, 0),
        (state.second, 0),
    ):
        # With too few peaks the rest stay.
        rows = torch.where(gain[:, :, None] > 0, rows, table[moved[:, :, 0]])
        table[moved[:, :, 0]] = rows


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:  # [B, h, w, C]
    """cv2.GaussianBlur of each: its kernel and border, in a fixed order of sums, which
    convolutions don't promise."""
    radius = (round(8 * sigma + 1) | 1) // 2
    taps = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)[:, 0].tolist()
    for axis in (1, 2):
        length = images.shape[axis]
        at = np.abs(np.arange(length) + np.arange(-radius, radius + 1)[:, None]) % max(
            2 * length - 2, 1
        )
        at = torch.from_numpy(np.minimum(at, 2 * length - 2 - at)).to(images.device)
        images = sum(
            tap * images.index_select(axis, where) for tap, where in zip(taps, at, strict=True)
        )
    return images
