"""The part of docs/format.md on records that stand alone as a decoder in plain Python."""

import math

import numpy as np
from formatpage import Page, power

from gaussvae_ros.entropy import grid, prior
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.vae.contexts import THIN, UNITS
from gaussvae_ros.vae.prior import KINDS


class Decoder(Page):
    """One record's stream."""

    def decode(self) -> Grid:
        n, cell = self.n, self.cells()
        self.xy = [(self.bits(code), self.bits(code >> 1)) for code in cell]
        self.neighbours()
        self.order = sorted(range(n), key=self.round)
        self.v = [[0.0] * 7 for _ in range(n)]
        unit = grid.SIZE_STEP * grid.POWER * self.factor
        scale = [i - 1 for i in self.numbers(0, [unit] * n, 1, grid.SIZES)]
        u = [(i + 1) * unit for i in scale]
        half = grid.COLOURS // 2
        step = [
            max(grid.COLOUR_STEP * self.factor / (a * a), 2 * grid.OVERSHOOT / grid.COLOURS)
            for a in u
        ]
        colour = [self.numbers(1 + c, step, -half, 2 * half) for c in range(self.channels)]
        k = [self.factor / min(a, grid.LARGE) for a in u]
        aspect = self.numbers(4, [a * grid.ASPECT_STEP for a in k], 0, grid.ASPECTS)
        angle = self.angles(k, aspect)
        turn = [math.pi * a / (s * f) for a, (s, f) in zip(angle, map(self.turns, k, aspect))]
        shapes = list(map(self.shape, u, k, aspect, turn))
        parts, shift = self.shifts(k, shapes)
        self.geometry = self.placed(cell, shift, parts, shapes)
        self.rgb = self.colours(colour, step)
        arrays = (np.array(a) for a in (cell, scale, aspect, angle, shift))
        return Grid(self.size, self.precision, *arrays, np.array(colour).T)

    # Numbers

    def base(self, i: int) -> list[float]:
        (x, y), space, usual = self.xy[i], self.spacing[i], math.sqrt(self.w * self.h / self.n)
        out = [space, space / usual, usual, self.precision - 128, self.round(i)]
        return [*out, (x + 0.5) / self.w, (y + 0.5) / self.h, math.sqrt(self.n)]

    def before(self, i: int, kind: int) -> list[float]:
        """Features 1 to 3."""
        room = max(self.spacing[i], 0.5)

        def where(j: int) -> list[float]:
            dx, dy = self.away(i, j)
            d = math.sqrt(dx * dx + dy * dy + 0.1)
            return [dx / d, dy / d, d / (d + room)]

        out = self.base(i) + self.each(i, where, [0, 0, 1])
        for q in range(kind):
            own = self.v[i][q]
            out += [own] + self.each(i, lambda j: [self.v[j][q] - own], [0])
        return out

    def numbers(self, kind: int, steps: list[float], low: int, count: int) -> list[int]:
        out = [0] * self.n
        for i in self.order:
            weights = [(1 / (self.square(i, j) + 0.5), j) for j in self.known[i]]
            total = sum(w for w, _ in weights)
            mean = sum(w * self.v[j][kind] for w, j in weights) / total if weights else 0.0
            spread = 0.0
            for _, j in weights:
                spread += abs(self.v[j][kind] - mean) / (self.square(i, j) + 0.5) / total
            less = self.each(i, lambda j: [self.v[j][kind] - mean], [0], [self.known[i]])
            o = self.network(KINDS[kind], self.before(i, kind) + [mean, spread] + less)
            p = self.mixture(o, float(UNITS[kind]), steps[i], mean, low, count)
            out[i] = self.weighed(p) + low
            self.v[i][kind] = out[i] * steps[i]
        return out

    def change(self, i: int, j: int) -> float:
        return sum((self.v[j][c] - self.v[i][c]) * (self.v[j][c] - self.v[i][c]) for c in (1, 2, 3))

    def angles(self, k: list[float], aspect: list[int]) -> list[int]:
        sector, fine = [0] * self.n, [0] * self.n
        for i in self.order:
            sectors, fine[i] = self.turns(k[i], aspect[i])
            o = self.network("angle", self.before(i, 5) + self.axes(i))
            cosine, sine = (table[sectors].tolist() for table in prior.axes())
            total, p = sum(power(o[3 * c + 2]) for c in range(3)), [0.0] * grid.SECTORS
            for c in range(3):
                a, b = o[3 * c] * (4 / 64), o[3 * c + 1] * (4 / 64)
                length = 1 + math.sqrt(a * a + b * b)
                weight = power(o[3 * c + 2]) / total * length
                for j in range(sectors):
                    q = length - a * cosine[j] - b * sine[j]
                    p[j] += weight / (q * q)
            sector[i] = self.weighed(p)
            thin = min(self.v[i][4], THIN)
            self.v[i][5], self.v[i][6] = cosine[sector[i]] * thin, sine[sector[i]] * thin
        return [s * f + self.plain(f) for s, f in zip(sector, fine)]

    def axes(self, i: int) -> list[float]:
        sums = [[1e-9, 0.0, 0.0], [1e-9, 0.0, 0.0]]
        for j in self.known[i]:
            w = 1 / (self.square(i, j) + 0.5)
            for q in range(3):
                sums[0][q] += w * self.v[j][4 + q]

        def line(j: int) -> list[float]:
            (dx, dy), d2 = self.away(i, j), self.square(i, j)
            if not d2:
                return [0, 0, 0]
            return [(dx * dx - dy * dy) / d2, 2 * dx * dy / d2, self.change(i, j)]

        for j in self.around[i]:
            if self.square(i, j):
                along, across, t = line(j)
                c = t / self.square(i, j)
                sums[1] = [sums[1][0] + c, sums[1][1] - c * along, sums[1][2] - c * across]
        out = [value / total for total, *both in sums for value in both]
        out += self.each(i, lambda j: self.v[j][5:], [0, 0], [self.known[i]])

        def bounded(j: int) -> list[float]:
            along, across, t = line(j)
            return [along, across, t / (t + 0.01)]

        return out + self.each(i, bounded, [0, 0, 0], [self.around[i]])
