"""The first half of docs/format.md as a decoder in plain Python: networks, cells, neighbours."""

import math

import numpy as np
from test_entropy import PlainReader

from gaussvae_ros.entropy import cells, contexts, grid
from gaussvae_ros.vae.contexts import FLOOR, MOST, NARROWEST, ROOT

NEAR = contexts.NEAR


def power(i: int) -> float:
    out = 1.0
    for _ in range(abs(i)):
        out = out * ROOT if i > 0 else out / ROOT
    return out


class Page:
    """What a record's stream takes, as the page has it."""

    def __init__(self, data: bytes, tensors: dict, size, n: int, precision: int, channels: int):
        self.reader, self.tensors, self.size, self.n = PlainReader(data), tensors, size, n
        self.precision, self.factor = precision, grid.factor(precision)
        self.channels = channels

    def weighed(self, p: list[float]) -> int:
        return int(self.reader.symbols(None, np.array([p]))[0])

    def plain(self, choices: int) -> int:
        return int(self.reader.uniform(None, np.array([choices]))[0])

    def network(self, kind: str, features: list[float]) -> list[int]:
        tensor = {part: self.tensors[f"{kind}_{part}"].tolist() for part in ("mean", "gain")}
        inputs = []
        for f, mean, gain in zip(features, tensor["mean"], tensor["gain"], strict=True):
            z = (f - mean / 1024) * (gain / 1024)
            inputs.append(math.floor(z / (1 + abs(z) / 8) * 64 + 0.5))
        for layer in range(3):
            weight = self.tensors[f"{kind}_weight{layer}"].astype(np.int64)
            total = self.tensors[f"{kind}_bias{layer}"].astype(np.int64) + inputs @ weight
            low = -MOST if layer == 2 else 0
            inputs = np.clip(np.floor(total / 512 + 0.5).astype(np.int64), low, MOST)
        return inputs.tolist()

    def mixture(self, o, unit: float, step: float, mean: float, low: int, count: int):
        total, p = sum(power(o[3 * c + 2]) for c in range(3)), [FLOOR] * count
        for c in range(3):
            s = unit * power(o[3 * c + 1]) / step
            s = math.sqrt(s * s + NARROWEST)
            weight, m = (
                power(o[3 * c + 2]) / (total * s),
                (mean + unit * o[3 * c] / 64) / step - low,
            )
            for j in range(count):
                z = (j - m) * (1 / s)
                q = 1 + z * z
                p[j] += weight / (q * q)
        return p

    # Cells

    @staticmethod
    def bits(code: int) -> int:
        return sum((code >> 2 * i & 1) << i for i in range(16))

    def cells(self) -> list[int]:
        (width, height), n, k = self.size, self.n, 0
        while k < 15 and max(self.size) ** 2 * 4 * n > width * height * 4**k:
            k += 1
        self.side = max(self.size) / 2**k
        self.w, self.h = width / self.side, height / self.side
        nodes = {0: n}
        for bit in range(2 * k - 1, -1, -1):
            first, groups = {}, [[] for _ in cells.COUNTS[1:]]
            for node, m in nodes.items():
                share, a, b = self.halves(node, bit)
                if share in (0, 1):
                    first[node] = m * int(share)
                else:
                    group = next(g for g, top in enumerate(cells.COUNTS[1:]) if m <= top)
                    groups[group].append((node, m, a, b))
            for group in groups:
                most = max((m for _, m, *_ in group), default=0)
                for node, m, a, b in group:
                    p = [1.0] + [0.0] * most
                    for i in range(1, m + 1):
                        p[i] = p[i - 1] * ((a + i - 1) * (m - i + 1)) / (i * (m - i + b))
                    first[node] = self.weighed(p)
            halves = [
                (2 * node + side, first[node], nodes[node]) for node in nodes for side in (0, 1)
            ]
            nodes = {c: m - f if c % 2 else f for c, f, m in halves}
            nodes = {c: m for c, m in nodes.items() if m}
        return [c for c, m in nodes.items() for _ in range(m)]

    def corner(self, node: int, bit: int) -> tuple[int, int]:
        code = node << bit + 1
        return self.bits(code), self.bits(code >> 1)

    def halves(self, node: int, bit: int) -> tuple[float, float, float]:
        x, y = self.corner(node, bit)
        wide, tall = 1 << (bit + 2) // 2, 1 << (bit + 1) // 2
        inside_x, inside_y = (
            min(max(end - at, 0.0), side)
            for end, at, side in ((self.w, x, wide), (self.h, y, tall))
        )
        inside, side = (inside_y, tall) if bit % 2 else (inside_x, wide)
        share = min(inside, side // 2) / max(inside, 1e-9)
        expected = self.n * (inside_x * inside_y) / (self.w * self.h)
        total = 2 * cells.CONCENTRATION[sum(e < expected for e in cells.EXPECTED)]
        a = min(max(round(total * share), 1), total - 1)
        return share, a, total - a

    # Neighbours

    @staticmethod
    def round(i: int) -> int:
        return next((r for r, step in enumerate((16, 8, 4, 2)) if i % step == 0), 4)

    def neighbours(self) -> None:
        self.known, self.around, self.spacing = [], [], []
        for i in range(self.n):
            others = sorted((self.square(i, j), j) for j in range(self.n) if j != i)
            earlier = [j for _, j in others if self.round(j) < self.round(i)]
            self.around.append([j for _, j in others[:NEAR]])
            self.known.append(earlier[:NEAR])
            self.spacing.append(sum(math.sqrt(d) / NEAR for d, _ in others[:NEAR]))

    def away(self, i: int, j: int) -> tuple[int, int]:
        return self.xy[j][0] - self.xy[i][0], self.xy[j][1] - self.xy[i][1]

    def square(self, i: int, j: int) -> int:
        dx, dy = self.away(i, j)
        return dx * dx + dy * dy

    def each(self, i: int, make, empty: list[float], sets=None) -> list[float]:
        """`make(j)` of each of the known and around, `empty` where there is none."""
        out = []
        for near in sets or (self.known[i], self.around[i]):
            for k in range(NEAR):
                out += make(near[k]) if k < len(near) else empty
        return out
