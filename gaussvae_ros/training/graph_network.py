"""A graph network on splats while it learns; recognition/network.py runs it without torch."""

import torch
from torch import Tensor, nn

from gaussvae_ros.recognition import convolution
from gaussvae_ros.recognition.graph import EDGE, NODE, Graph


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


class Convolution(nn.Module):
    """A residual step: neighbours by edge geometry, the node itself, and the frame's mean."""

    def __init__(self, width: int, bases: int, inner: int):
        super().__init__()
        self.edge = nn.Linear(inner, bases)
        self.norm = nn.LayerNorm(width)
        self.near = nn.Linear(bases * width, width)
        self.self = nn.Linear(width, width)
        self.all = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, edges: Tensor, neighbours: Tensor, frame: Tensor, share: Tensor):
        h = torch.relu(self.norm(x))
        gathered = Gather.apply(h, self.edge(edges), neighbours).flatten(1)
        mean = torch.zeros(len(share), h.shape[1]).index_add_(0, frame, h) * share
        return x + self.near(gathered) + self.self(h) + self.all(mean)[frame]


class GraphNetwork(nn.Module):
    """Graphs to classes: nodes embedded, residual convolutions, mean and attention pooling."""

    def __init__(self, classes, width=32, depth=7, bases=8, inner=16, heads=2, drop=0.1):
        super().__init__()
        self.config = dict(
            classes=classes, width=width, depth=depth, bases=bases, inner=inner, heads=heads
        )
        self.node = nn.Linear(NODE, width)
        self.edge = nn.Linear(EDGE, inner)
        self.layers = nn.ModuleList(Convolution(width, bases, inner) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, heads)
        self.drop = nn.Dropout(drop)
        self.last = nn.Linear(width * (1 + heads), classes)
        for layer in self.layers:
            nn.init.normal_(layer.near.weight, std=(2 / layer.near.in_features / depth) ** 0.5)

    def forward(self, g: Graph) -> Tensor:
        nodes, edges, neighbours = map(torch.from_numpy, (g.nodes, g.edges, g.neighbours))
        counts = torch.from_numpy(g.starts[1:] - g.starts[:-1])
        frame, share = (
            torch.repeat_interleave(torch.arange(len(counts)), counts),
            1 / counts[:, None],
        )
        x = self.node(nodes)
        e = torch.relu(self.edge(edges))
        for layer in self.layers:
            x = layer(x, e, neighbours, frame, share)
        x = torch.relu(self.norm(x))
        pooled = [torch.zeros(len(counts), x.shape[1]).index_add_(0, frame, x) * share]
        a = torch.exp(5 * torch.tanh(self.heads(x) / 5))
        total = torch.zeros(len(counts), a.shape[1]).index_add_(0, frame, a)
        a = a / total[frame]
        for k in range(a.shape[1]):
            pooled.append(torch.zeros_like(pooled[0]).index_add_(0, frame, x * a[:, k : k + 1]))
        return self.last(self.drop(torch.cat(pooled, 1)))
