"""A graph network on splats while it learns; recognition/network.py runs it without torch."""

import torch
from torch import Tensor, nn

from gaussvae_ros.recognition import convolution
from gaussvae_ros.recognition.graph import EDGE, NODE, Graph, Level


class Gather(torch.autograd.Function):
    """convolution.gather with its slopes."""

    @staticmethod
    def forward(ctx, values, weights, neighbours):
        ctx.save_for_backward(values, weights, neighbours)
        return torch.from_numpy(
            convolution.gather(values.numpy(), weights.numpy(), neighbours.numpy())
        )

    @staticmethod
    def backward(ctx, out):
        values, weights, neighbours = ctx.saved_tensors
        arrays = (t.detach().numpy() for t in (values, weights, neighbours, out.contiguous()))
        return *map(torch.from_numpy, convolution.slopes(*arrays)), None


class Frames:
    """Sums and means over the rows of each frame of a level."""

    def __init__(self, level: Level):
        counts = torch.from_numpy(level.starts[1:] - level.starts[:-1])
        self.rows = torch.repeat_interleave(torch.arange(len(counts)), counts)
        self._share = 1 / counts[:, None].float()

    def sum(self, x: Tensor) -> Tensor:  # [N, W] -> [B, W]
        return x.new_zeros(len(self._share), x.shape[1]).index_add_(0, self.rows, x)

    def mean(self, x: Tensor) -> Tensor:
        return self.sum(x) * self._share


class Convolution(nn.Module):
    """A residual step: neighbours by edge geometry, the node itself, and the frame's mean."""

    def __init__(self, width: int, bases: int, inner: int):
        super().__init__()
        self.edge = nn.Linear(inner, bases)
        self.norm = nn.BatchNorm1d(width)
        self.near = nn.Linear(bases * width, width)
        self.self = nn.Linear(width, width)
        self.all = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, edges: Tensor, neighbours: Tensor, frames: Frames) -> Tensor:
        h = torch.relu(self.norm(x))
        near = Gather.apply(h, self.edge(edges), neighbours).flatten(1)
        return x + self.near(near) + self.self(h) + self.all(frames.mean(h))[frames.rows]


class GraphNetwork(nn.Module):
    """Graphs to classes: convolutions among splats, then among groups of them, then the mean and
    attention over a frame."""

    def __init__(
        self,
        classes: int,
        widths: tuple[int, int] = (24, 44),
        depths: tuple[int, int] = (3, 3),
        bases: int = 8,
        inner: int = 16,
        heads: int = 2,
        drop: float = 0.3,
    ):
        super().__init__()
        self.config = {"classes": classes, "widths": list(widths), "depths": list(depths)}
        self.config |= {"bases": bases, "inner": inner, "heads": heads}
        self.node = nn.Linear(NODE, widths[0])
        self.group = nn.Linear(2 * widths[0], widths[1])
        self.edges = nn.ModuleList(nn.Linear(EDGE, inner) for _ in depths)
        self.levels = nn.ModuleList(
            nn.ModuleList(Convolution(width, bases, inner) for _ in range(depth))
            for width, depth in zip(widths, depths)
        )
        self.norm = nn.BatchNorm1d(widths[1])
        self.heads = nn.Linear(widths[1], heads)
        self.drop = nn.Dropout(drop)
        self.last = nn.Linear(widths[1] * (1 + heads), classes)

    def forward(self, g: Graph) -> Tensor:
        x = self.node(torch.from_numpy(g.nodes))
        for level, edge, layers in zip(g.levels, self.edges, self.levels):
            if level.members is not None:
                some = x[torch.from_numpy(level.members)]  # [groups, GROUP, W]
                x = self.group(torch.cat([some.mean(1), some.amax(1)], 1))
            frames, edges = Frames(level), torch.relu(edge(torch.from_numpy(level.edges)))
            for layer in layers:
                x = layer(x, edges, torch.from_numpy(level.neighbours), frames)
        x = torch.relu(self.norm(x))
        steep = torch.exp(5 * torch.tanh(self.heads(x) / 5))
        steep = steep / frames.sum(steep)[frames.rows]
        pooled = [frames.mean(x)] + [frames.sum(x * column[:, None]) for column in steep.T]
        return self.last(self.drop(torch.cat(pooled, 1)))
