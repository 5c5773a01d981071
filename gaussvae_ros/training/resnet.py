"""ResNet-8 (https://arxiv.org/abs/1512.03385), beside which networks on splats are measured."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.short = nn.Sequential()
        if stride > 1 or before != width:
            self.short = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(inner)) + self.short(x))


class ResNet8(nn.Module):
    """Pictures [B, C, H, W], 0 to 1, to classes [B, classes]; about 78 thousand parameters."""

    def __init__(self, channels: int, classes: int, drop=0.2):
        super().__init__()
        self.config = {"channels": channels, "classes": classes}
        self.stem = nn.Sequential(
            nn.Conv2d(channels, WIDTHS[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            Block(WIDTHS[0], WIDTHS[0], 1),
            Block(WIDTHS[0], WIDTHS[1], 2),
            Block(WIDTHS[1], WIDTHS[2], 2),
        )
        self.drop = nn.Dropout(drop)
        self.last = nn.Linear(WIDTHS[2], classes)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.blocks(self.stem(pictures * 4 - 2))
        return self.last(self.drop(functional.adaptive_avg_pool2d(x, 1).flatten(1)))
