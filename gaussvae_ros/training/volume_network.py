"""Training of the network that adds to decoded blocks what their coefficients tell of the rest."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume.synthesis import INPUTS, draw, gather
from gaussvae_ros.volume.transform import SIDE, SIZE

HIDDEN = 128
BATCH = 256  # blocks
RATE = 2e-3
OF_EACH = 6000  # blocks, at most, of a volume at one step
POWER = 0.5  # 0: all steps' errors count as the squares of steps, 1: as much as they are large


def learn(
    chosen: list[tuple], bias: np.ndarray, steps: int, seed: int, progress: Callable
) -> tuple[list[np.ndarray], list]:
    """The network's [weight, bias, ...] and its curve: [step, share of the error that is left].

    Args:
        chosen: (voxels, step, q, low) of each volume at each step.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    inputs, linear, wanted, sizes = _samples(chosen, bias, rng)
    valid = rng.random(len(inputs)) < 0.02
    train = np.flatnonzero(~valid)
    net = nn.Sequential(
        nn.Linear(INPUTS, HIDDEN), nn.LeakyReLU(0.1), nn.Linear(HIDDEN, HIDDEN),
        nn.LeakyReLU(0.1), nn.Linear(HIDDEN, SIZE),
    )  # fmt: skip
    nn.init.zeros_(net[4].weight)
    nn.init.zeros_(net[4].bias)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    held = [torch.from_numpy(a[valid]) for a in (inputs, linear, wanted, sizes)]
    with torch.no_grad():
        first = _loss(net, *held).item()
    curve = [[0, 1.0]]
    for step in progress(range(1, steps + 1)):
        rows = train[rng.integers(len(train), size=BATCH)]
        loss = _loss(net, *(torch.from_numpy(a[rows]) for a in (inputs, linear, wanted, sizes)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 1000 == 0 or step == steps:
            with torch.no_grad():
                curve.append([step, round(_loss(net, *held).item() / first, 4)])
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    arrays = [a for layer in layers for a in (layer.weight.T, layer.bias)]
    return [a.detach().numpy().copy() for a in arrays], curve


def _loss(net, inputs, linear, wanted, sizes):
    """Squared error of the voxels that are known, after clipping; `linear` in steps, as `net`."""
    made = linear + net(inputs)
    known = ~torch.isnan(wanted)
    top = (1 / sizes)[:, None]
    off = torch.where(known, made.clamp(min=0).minimum(top) - wanted.nan_to_num(), 0.0)
    # Beyond the ends a clipped value has no gradient: pull it back, weakly.
    beyond = torch.where(known, (made - made.clamp(min=0).minimum(top)), 0.0)
    return ((off**2).mean(1) * sizes ** (2 * POWER)).mean() + 1e-3 * (beyond**2).mean()


def _samples(chosen: list[tuple], bias: np.ndarray, rng) -> tuple:
    """What the network reads, the linear part's voxels, those wanted (both in steps, float32
    [n, SIZE]), and the steps."""
    found: list[tuple] = []
    for voxels, step, q, low in chosen:
        begin, end = np.zeros(2, np.int64), np.array(q.shape[1:3])
        count = int(end.prod())
        inputs, places = np.empty((count, INPUTS), np.float32), np.empty((count, 2), np.int64)
        layer = np.empty((SIDE, *(SIDE * end)), np.float32)
        share = min(OF_EACH / (count * len(q)), 1)
        numbers, nothing = np.full(end, -1), np.zeros((0, SIZE), np.float32)
        for z in range(len(q)):
            n = gather(q, low, bias, step, z, begin, end, inputs, places)
            rows = np.flatnonzero(rng.random(n) < share)
            draw(q, low, bias, step, z, begin, end, numbers, nothing, layer)
            linear, wanted = np.empty((2, len(rows), SIZE), np.float32)
            _cut(layer, voxels, z, places[rows], linear, wanted)
            found.append(
                (inputs[rows], linear / step, wanted / step, np.full(len(rows), step, np.float32))
            )
    return tuple(np.concatenate(parts) for parts in zip(*found))


@kernel(error_model="numpy")
def _cut(layer, voxels, z, places, linear, wanted):
    """Blocks at `places` of a drawn layer, and what they are in the volume; NaN beyond it."""
    for n in range(len(places)):
        for k in range(SIZE):
            zz, y, x = k // 64, places[n, 0] * SIDE + k // 8 % 8, places[n, 1] * SIDE + k % 8
            linear[n, k] = layer[zz, y, x]
            zz += z * SIDE
            inside = zz < voxels.shape[0] and y < voxels.shape[1] and x < voxels.shape[2]
            wanted[n, k] = voxels[zz, y, x] if inside else np.nan
