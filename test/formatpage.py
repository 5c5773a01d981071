"""What all records share of docs/format.md as a decoder in plain Python: networks, cells,
neighbours, shapes."""

import math

import numpy as np
from test_entropy import PlainReader

from gaussvae_ros.entropy import cells, contexts, grid
from gaussvae_ros.vae.contexts import FLOOR, MOST, NARROWEST, ROOT

NEAR = contexts.NEAR
OPPONENT = grid.OPPONENT.tolist()


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

    def cells(self, n: int | None = None) -> list[int]:
        """The cells of `n` splats, as fine as for all of them."""
        (width, height), k = self.size, 0
        while k < 15 and max(self.size) ** 2 * 4 * self.n > width * height * 4**k:
            k += 1
        self.counted = n = n or self.n
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
        expected = self.counted * (inside_x * inside_y) / (self.w * self.h)
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

    # Shapes

    @staticmethod
    def turns(k: float, aspect: int) -> tuple[int, int]:
        """Sectors of a half turn, and angles in each."""
        ratio = min(aspect * k * grid.ASPECT_STEP, 20.0)
        count = round(2 * math.pi / grid.ANGLE_STEP * math.sinh(ratio) / k)
        fine = min(max(math.ceil(count / grid.SECTORS), 1), grid.FINE)
        return min(max(math.ceil(count / fine), 1), grid.SECTORS), fine

    def shape(self, u: float, k: float, aspect: int, theta: float) -> tuple[float, float, float]:
        """lxx, shear, lyy."""
        middle = math.log(u * grid.TYPICAL) / grid.POWER
        middle += math.log(self.size[0] * self.size[1] / self.n) / 2
        half = min(aspect * k * grid.ASPECT_STEP, 20.0) / 2
        s1, s2, sine, cosine = (
            *(math.exp(middle + part) for part in (half, -half)),
            math.sin(theta),
            math.cos(theta),
        )
        yy = (sine * s1) ** 2 + (cosine * s2) ** 2
        return s1 * s2 / math.sqrt(yy), sine * cosine * (s1 * s1 - s2 * s2) / yy, math.sqrt(yy)

    def shifts(self, k: list[float], shapes: list) -> tuple[list, list]:
        """Into how many places sides of cells are cut, and the places of splats."""

        def places(step: float) -> int:
            return min(max(math.ceil(self.side / step), 1), grid.SHIFTS)

        parts = [
            (places(a * grid.SHIFT_STEP * lxx), places(a * grid.SHIFT_STEP * lyy))
            for a, (lxx, _, lyy) in zip(k, shapes)
        ]
        return parts, [[self.plain(count) for count in pair] for pair in parts]

    def placed(self, cell, shift, parts, shapes) -> list[tuple[float, ...]]:
        """The geometry of splats."""
        out = []
        for code, at, of, shape in zip(cell, shift, parts, shapes):
            corner = self.bits(code) * self.side, self.bits(code >> 1) * self.side
            place = (c + (a + 0.5) * (self.side / p) for c, a, p in zip(corner, at, of))
            out.append((*place, *shape))
        return out

    def colours(self, indices: list[list[int]], step: list[float]) -> list[list[float]]:
        """The three colours of splats, whose indices are by channel."""
        return [
            [
                sum(index[i] * s * row[q] for index, row in zip(indices, OPPONENT)) + 0.5
                for q in range(3)
            ]
            for i, s in enumerate(step)
        ]
