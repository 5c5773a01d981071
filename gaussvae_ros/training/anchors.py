"""Networks around the latent of the first model: a variational autoencoder whose latent
is a small set of splats.

    encoder   N fitted splats in Morton order -> runs of them, merged by their moments, moved by a
              network -> M anchors
    latent    M x 8 numbers, known to the steps in which a record stores them (additive uniform
              noise in training)
    decoder   a network splits each anchor into 8, 4 or 2 -> about 512 splats -> the rasteriser

It is trained on distortion plus rate: a VAE whose posterior is uniform and whose prior is learned
(Balle, Laparra and Simoncelli 2017, https://arxiv.org/abs/1611.01704). Both networks start as the
identity, so that training begins with merged splats that are drawn as they are. At encode time
the posterior's mean may go on by descent on the picture, from the network's answer
(semi-amortised inference, Kim et al. 2018, https://arxiv.org/abs/1802.02550); half of each batch
does so in training, too.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gaussvae_ros.entropy import grid
from gaussvae_ros.fit import to_splats
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.raster.cpu import split
from gaussvae_ros.training.frames import (
    EDGE,
    MEMBER,
    NODE,
    describe,
    gather,
    merge,
    move,
    nearest,
    pool,
    relate,
)
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.vae.prior import Prior

COUNTS = (64, 128, 256)  # anchors of the training batches
NEIGHBOURS = 8
DESCENT = 24  # steps on half of a training batch
# By how much finer the noise on those is: further descent makes up for a record's rounding.
SETTLED = 12
# An anchor's parts -> how many lie along its long axis, and abreast.
PARTS = {8: (4, 2), 4: (2, 2), 2: (2, 1)}
FINEST, COARSEST = 125, 137  # precisions of the latent in training


class Anchors(SplatModel):
    """Splats to anchors and back."""

    def __init__(self, count: int = 128, width: int = 64, layers: int = 2):
        """`count`: anchors a frame has in evaluation; `width`, `layers`: of both networks."""
        super().__init__()
        self.config = {"count": count, "width": width, "layers": layers}
        self.member = nn.Sequential(nn.Linear(MEMBER, width), nn.ReLU(), nn.Linear(width, width))
        self.encoder = Network(NODE + width, width, layers, 8)
        self.decoders = nn.ModuleDict(
            {str(parts): Network(NODE, width, layers, 8 * parts) for parts in PARTS}
        )
        self.rate = Rate(width)
        # Of records; trained when the networks are (train_prior.py).
        self.prior: Prior | None = None
        for parts, decoder in self.decoders.items():
            decoder.last.bias.data.copy_(_pattern(int(parts)).flatten())

    def forward(self, batch: Batch) -> Output:
        count = self.config["count"]
        if self.training:
            count = COUNTS[int(torch.randint(len(COUNTS), (1,)))]
        anchors = self.anchors(batch.splats, batch.size, count)
        if self.training:
            half = len(anchors) // 2
            sharp = descended(anchors[:half].detach(), batch.size, batch.pictures[:half], DESCENT)
            precision = torch.randint(FINEST, COARSEST + 1, (1,)).item()
            noisy, bits = self.rate(anchors, batch.size, precision)
            anchors = torch.cat([blurred(sharp, batch.size, precision - SETTLED), noisy[half:]])
        else:
            bits = self.rate(anchors, batch.size, (FINEST + COARSEST) // 2)[1]
        return Output(self.split(anchors, batch.size), bits=bits)

    def anchors(
        self, splats: Tensor, size: tuple[int, int], count: int
    ) -> Tensor:  # [B, N, 8] -> [B, count, 8]
        """What the encoder makes of splats in Morton order."""
        merged, run, seen = merge(splats, count)
        members = pool(self.member(seen), run, count) * (count / splats.shape[1])
        return move(merged, self.encoder(merged, size, members).squeeze(2))

    def split(
        self, anchors: Tensor, size: tuple[int, int]
    ) -> Tensor:  # [B, M, 8] -> [B, M * parts, 8]
        """What the decoder makes of anchors: as many equal parts of each as 512 splats allow."""
        parts = parts_of(anchors.shape[1])
        if parts == 1:
            return anchors
        change = self.decoders[str(parts)](anchors, size)  # [B, M, parts * 8]
        return move(anchors.unsqueeze(2), change.unflatten(2, (parts, 8))).flatten(1, 2)

    def state_dict(self, *args, **kwargs) -> dict:
        """Weights, and the integers of the prior."""
        laws = {} if self.prior is None else self.prior.tensors()
        return {
            **super().state_dict(*args, **kwargs),
            **{f"prior.{k}": torch.from_numpy(v) for k, v in laws.items()},
        }

    def load_state_dict(self, state: dict, strict: bool = True) -> None:
        """As torch's; a state with a prior brings it along."""
        laws = {
            key.removeprefix("prior."): state[key].numpy()
            for key in state
            if key.startswith("prior.")
        }
        self.prior = Prior.from_tensors(laws) if laws else None
        super().load_state_dict(
            {key: v for key, v in state.items() if not key.startswith("prior.")}, strict
        )


def parts_of(count: int) -> int:
    """Into how many splats each of `count` anchors is split."""
    return next((parts for parts in PARTS if parts * count <= 768), 1)


class Network(nn.Module):
    """Messages between neighbouring splats (EdgeConv, Wang et al.

    2019, https://arxiv.org/abs/1801.07829).
    """

    def __init__(self, node: int, width: int, layers: int, out: int):
        super().__init__()
        self.first = nn.Linear(node, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.last = nn.Linear(width, out)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(self, splats: Tensor, size: tuple[int, int], more: Tensor | None = None) -> Tensor:
        """A number of outputs for each splat [B, M, 8], from it, its neighbours, and
        `more` [B, M, ...] of it."""
        index = nearest(splats, min(NEIGHBOURS, splats.shape[1] - 1))
        node, edge = describe(splats, size), relate(splats, index, size)
        hidden = self.first(node if more is None else torch.cat([node, more], -1))
        for layer in self.layers:
            hidden = layer(hidden, edge, index)
        return self.last(relu(hidden))


class Layer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.own, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.edge, self.message = nn.Linear(EDGE, width, bias=False), nn.Linear(width, width)
        self.mix, self.out = nn.Linear(3 * width, width), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, edge: Tensor, index: Tensor) -> Tensor:
        message = relu(
            self.own(hidden).unsqueeze(2) + gather(self.other(hidden), index) + self.edge(edge)
        )
        message = relu(self.message(message))
        heard = torch.cat([hidden, message.mean(2), message.amax(2)], -1)
        return hidden + self.out(relu(self.mix(heard)))


class Rate(nn.Module):
    """Bits of anchors under a logistic distribution of each number, its mean and width
    from the two anchors before.

    It stands in for the integer prior of records (prior.py) where a gradient is needed.
    """

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * NODE, width), nn.ReLU(), nn.Linear(width, NODE + 8))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(
        self, anchors: Tensor, size: tuple[int, int], precision: int
    ) -> tuple[Tensor, Tensor]:
        """Anchors [B, M, 8] as a record would know them, blurred in training, and each
        number's bits [B, M * 8]."""
        known = blurred(anchors, size, precision) if self.training else anchors
        rows = describe(known, size)
        before = torch.nn.functional.pad(rows, (0, 0, 2, 0))
        guess, log_width = self.net(torch.cat([before[:, 1:-1], before[:, :-2]], -1)).split(
            [NODE, 8], -1
        )
        # Angles are a vector in rows; a record has one number for it, which costs what its error
        # across the axis costs.
        off = known[..., 4] - 0.5 * torch.atan2(guess[..., 5], guess[..., 4] + 1e-3)
        off = torch.remainder(off + math.pi / 2, math.pi) - math.pi / 2
        colours = known[..., 5:] - 0.5 - guess[..., 6:] / 2 - (before[:, 1:-1, 6:] / 2)
        place = (rows[..., 2:4] - before[:, 1:-1, 2:4] - guess[..., 2:4]) * known.new_tensor(size)
        error = torch.cat([place, rows[..., :2] - guess[..., :2], off.unsqueeze(-1), colours], -1)
        step = steps(known.detach(), size, precision)
        width = (log_width.clamp(-6, 6).exp() * step.mean((0, 1))).clamp(min=1e-6)
        error = error.abs()
        mass = torch.sigmoid((step / 2 - error) / width) - torch.sigmoid(
            (-step / 2 - error) / width
        )
        return known, -mass.clamp(min=1e-6).log2().flatten(1)


def steps(anchors: Tensor, size: tuple[int, int], precision: int) -> Tensor:  # [B, M, 8]
    """The steps in which a record of `precision` stores numbers of anchors
    (entropy/grid.py), at most half a turn."""
    factor = grid.factor(precision)
    middle, thin = (anchors[..., 2] + anchors[..., 3]) / 2, anchors[..., 2] - anchors[..., 3]
    u = (
        grid.POWER * (middle - grid.unit(size, anchors.shape[1])).clamp(-6, 6)
    ).exp() / grid.TYPICAL
    shape = factor / u.clamp(max=grid.LARGE)
    place = grid.SHIFT_STEP * shape * middle.exp()
    log_size = grid.SIZE_STEP * factor / u
    turn = (shape * grid.ANGLE_STEP / (2 * thin.clamp(min=1e-2).sinh())).clamp(max=math.pi)
    colour = (grid.COLOUR_STEP * factor / (u * u)).clamp(min=2 * grid.OVERSHOOT / grid.COLOURS)
    return torch.stack(
        [place, place, log_size, grid.ASPECT_STEP * shape, turn, colour, colour, colour], -1
    )


def blurred(anchors: Tensor, size: tuple[int, int], precision: int) -> Tensor:
    """Anchors [B, M, 8] with uniform noise of a record's steps."""
    noise = (torch.rand_like(anchors) - 0.5) * steps(anchors.detach(), size, precision)
    half = noise[..., 3] / 2  # of the aspect: one axis gains what the other loses
    middle = noise[..., 2]
    return anchors + torch.stack(
        [noise[..., 0], noise[..., 1], middle + half, middle - half, *noise[..., 4:].unbind(-1)], -1
    )


def descended(anchors: Tensor, size: tuple[int, int], pictures: Tensor, count: int) -> Tensor:
    """Anchors [B, M, 8] after `count` steps of descent on `pictures` [B, 3, h,
    w], each drawn as it is."""
    out = []
    for params, picture in zip(anchors.cpu().numpy(), pictures.cpu().numpy()):
        height, width = picture.shape[1:]
        state = Descent(*split(params))
        state.rescale(width / size[0], height / size[1])
        rates = 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * np.arange(count) / count))
        state.run(np.ascontiguousarray(picture.transpose(1, 2, 0))[None], rates)
        state.rescale(size[0] / width, size[1] / height)
        out.append(to_splats(state, size, 3).params)
    return torch.from_numpy(np.stack(out)).to(anchors)


def _pattern(parts: int) -> Tensor:  # [parts, 8]
    """Where the parts of an anchor start, as changes in its frame: a grid that together
    looks like the anchor."""
    along, across = PARTS[parts]
    change = torch.zeros(parts, 8)
    places = torch.stack(
        torch.meshgrid(torch.arange(along), torch.arange(across), indexing="ij"), -1
    ).reshape(parts, 2)
    for axis, n in enumerate((along, across)):
        if n > 1:
            change[:, axis] = (places[:, axis] / (n - 1) - 0.5) * (1.1 if n == 2 else 1.9)
            change[:, 2 + axis] = math.log(0.8 if n == 2 else 0.6)
    return change
