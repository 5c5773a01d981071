"""The part of docs/format.md on predicted records as a decoder in plain Python."""

import math

from formatpage import NEAR, OPPONENT, Page

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.changes import (
    COLOURS,
    MOST_STRETCH,
    MOVES,
    SHAPE_STEP,
    SHAPES,
    SMALLEST_U,
    UNIT,
)
from gaussvae_ros.entropy.motion import LARGEST, NARROWEST, SMALLEST, STEP, WIDTHS
from gaussvae_ros.vae.change_contexts import NEW_UNITS
from gaussvae_ros.vae.change_prior import HALF, SHARES

MOVE = [("move_y", MOVES, 1.0), ("move_x", MOVES, 1.0)]
SHAPE = [(f"shape{which}", SHAPES, 0.3) for which in ("11", "12", "22")]
SHADE = [(f"shade{c}", COLOURS, unit) for c, unit in enumerate((0.1, 0.04, 0.04))]
KINDS = [("change", 0, 0.5), *MOVE, *SHAPE, *SHADE]
NEW_KINDS = "new_scale", "new_colour0", "new_colour1", "new_colour2", "new_aspect"


def clip(v, low, high):
    return min(max(v, low), high)


def nearest(v: float) -> int:
    return math.floor(v + HALF)


def grain(v: float) -> float:
    return clip(round(v * UNIT), 1, 2**24) / UNIT


class Predicted(Page):
    """One record's stream; `before` holds the geometry and the colours of its reference."""

    def __init__(self, data, tensors, size, before, precision: int, channels: int):
        super().__init__(data, tensors, size, len(before[0]), precision, channels)
        self.before, self.before_rgb = before

    def decode(self) -> None:
        self.field()
        self.moved = list(map(self.move, self.before))
        self.know()
        self.changes()
        self.fresh()
        self.geometry = list(map(self.changed, range(self.n)))
        self.rgb = [
            [
                rgb[q] + sum(self.v[i][6 + c] * OPPONENT[c][q] for c in range(self.channels))
                for q in range(3)
            ]
            for i, rgb in enumerate(self.before_rgb)
        ]
        rows = [i for i in range(self.n) if self.index[i][0] == 2]
        for i, geometry, rgb in zip(rows, self.new_geometry, self.new_rgb, strict=True):
            self.geometry[i], self.rgb[i] = geometry, rgb

    # Field

    def field(self) -> None:
        self.levels, self.coefficients, seen = self.plain(5), [], set()
        for level in range(4):
            g = 8 >> level
            nodes = [(a, b) for b in range(0, 9, g) for a in range(0, 9, g) if (a, b) not in seen]
            seen.update(nodes)
            values = [[0] * len(nodes), [0] * len(nodes)]
            if level < self.levels:
                values = [self.coefficients_of(len(nodes)) for _ in "xy"]
            self.coefficients += [(node, g, pair) for node, pair in zip(nodes, zip(*values))]
        unit = STEP * math.sqrt(self.size[0] * self.size[1] / self.n)
        self.d = [[[0.0, 0.0] for _ in range(9)] for _ in range(9)]
        for i in range(9):
            for j in range(9):
                for (a, b), g, pair in self.coefficients:
                    hat = max(1 - abs(i - a) / g, 0) * max(1 - abs(j - b) / g, 0)
                    for axis in range(2):
                        self.d[i][j][axis] += pair[axis] * hat
                self.d[i][j] = [value * unit for value in self.d[i][j]]

    def coefficients_of(self, count: int) -> list[int]:
        s = NARROWEST
        for _ in range(self.plain(WIDTHS)):
            s *= 1.4142135623730951
        p = []
        for v in range(-LARGEST, LARGEST + 1):
            z = v / s
            q = 1 + z * z
            p.append(1 / (q * q) + 1e-6)
        return [self.weighed(p) - LARGEST for _ in range(count)]

    def at(self, x: float, y: float) -> tuple[float, float]:
        p, q = clip(x / self.size[0], 0, 1) * 8, clip(y / self.size[1], 0, 1) * 8
        i, j = min(math.floor(p), 7), min(math.floor(q), 7)
        p, q = p - i, q - j

        def axis(k: int) -> float:
            upper = self.d[i][j][k] * (1 - p) + self.d[i + 1][j][k] * p
            lower = self.d[i][j + 1][k] * (1 - p) + self.d[i + 1][j + 1][k] * p
            return upper * (1 - q) + lower * q

        return axis(0), axis(1)

    def move(self, geometry) -> tuple[float, ...]:
        x, y, lxx, shear, lyy = geometry
        reach = max(math.sqrt(lxx * lxx + lyy * lyy), 4)

        def slope(dx: float, dy: float) -> list[float]:
            ends = zip(self.at(x + dx, y + dy), self.at(x - dx, y - dy))
            return [(one - other) / (2 * reach) for one, other in ends]

        (a, c), (b, d) = slope(reach, 0), slope(0, reach)
        a, d = 1 + a, 1 + d
        yy = lyy * lyy
        xy = shear * yy
        xx = lxx * lxx + shear * xy
        new_yy = max(c * c * xx + 2 * c * d * xy + d * d * yy, SMALLEST * SMALLEST)
        new_xy = a * c * xx + (a * d + b * c) * xy + b * d * yy
        away, root = self.at(x, y), math.sqrt(new_yy)
        wide = max(abs(a * d - b * c) * lxx * lyy / root, SMALLEST)
        return x + away[0], y + away[1], wide, new_xy / new_yy, root

    # Moved splats

    def know(self) -> None:
        (width, height), factor = self.size, self.factor
        self.usual = math.sqrt(width * height / self.n)
        self.xy, self.known_of, self.speed, self.slant, self.step = [], [], [], [], []
        for (x, y, lxx, shear, lyy), was, rgb in zip(self.moved, self.before, self.before_rgb):
            self.xy.append(tuple(int(clip(round(v), -(2**20), 2**20)) for v in (x, y)))
            u = (math.sqrt(lxx * lyy) / self.usual) ** grid.POWER / grid.TYPICAL
            u = round(64 * clip(u, SMALLEST_U, 50)) / 64
            yy = lyy * lyy
            xx, xy = lxx * lxx + shear * shear * yy, shear * yy
            large = (xx + yy) / 2 + math.sqrt(((xx - yy) / 2) ** 2 + xy * xy)  # s1 squared
            ratio = nearest(64 * clip(math.log(large / (lxx * lyy)), 0, 20)) / 64
            tints = [
                nearest(1024 * clip(sum(o * (v - 0.5) for o, v in zip(row, rgb)), -8, 8)) / 1024
                for row in OPPONENT
            ]
            self.known_of.append([u, *tints, ratio])
            away = math.sqrt((x - was[0]) * (x - was[0]) + (y - was[1]) * (y - was[1]))
            self.speed.append(nearest(min(away, 2**20)))
            self.slant.append(nearest(256 * clip(shear, -64, 64)) / 256)
            k = factor / clip(u, SMALLEST_U, grid.LARGE)
            moves = [grain(k * grid.SHIFT_STEP * extent) for extent in (lyy, lxx)]
            colour = grid.COLOUR_STEP * factor / max(u, SMALLEST_U) ** 2
            shapes, shades = grain(k * SHAPE_STEP), grain(max(colour, 0.004))
            self.step.append([1, *moves, *[shapes] * 3, *[shades] * 3])

    # Changes

    def changes(self) -> None:
        share = self.plain(SHARES) / (SHARES - 1)
        self.neighbours()
        order = sorted(range(self.n), key=self.round)
        self.v = [[0.0] * 9 for _ in range(self.n)]
        self.index = [[0] * 9 for _ in range(self.n)]
        self.about = [self.alone(i, share) for i in range(self.n)]
        for kind, (name, most, unit) in enumerate(KINDS[: 6 + self.channels]):
            low, count = (-most, 2 * most + 1) if kind else (0, 3)
            for i in order:
                if kind and self.index[i][0] != 1:
                    continue
                features, mean = self.features(i, kind)
                mean, slanted = mean if kind else 0.0, 0.0
                if kind == 2:
                    slanted = self.slant[i] * self.v[i][1]
                o, step = self.network(name, features), self.step[i][kind]
                p = self.mixture(o, unit, step, mean - slanted, low, count)
                self.index[i][kind] = self.weighed(p) + low
                self.v[i][kind] = self.index[i][kind] * step + slanted

    def alone(self, i: int, share: float) -> list[float]:
        (x, y), (width, height) = self.xy[i], self.size
        u, tint, *_, ratio = self.known_of[i]
        contrast = sum(abs(self.known_of[j][1] - tint) / NEAR for j in self.around[i])
        border = min(x, width - 1 - x, y, height - 1 - y) / self.usual
        out = [u, ratio, self.spacing[i] / self.usual, contrast, self.speed[i]]
        return [*out, self.precision - 128, share, border, self.round(i)]

    def features(self, i: int, kind: int) -> tuple[list[float], float]:
        room = max(self.spacing[i], 1.0)

        def weight(j: int) -> float:
            return room / (math.sqrt(self.square(i, j)) + room)

        def change(j: int) -> float:
            return self.index[j][0] + 1

        known, around = self.known[i], self.around[i]
        out = self.about[i] + self.each(i, lambda j: [1 - weight(j)], [1], [known])
        out += self.each(i, lambda j: [change(j)], [0], [known])
        out += self.each(i, lambda j: [1 - weight(j)], [1], [around])
        out += self.each(i, lambda j: [change(j)] if kind else [0], [0], [around])
        of = [j for j in known if not kind or self.index[j][0] == 1]
        total = sum(weight(j) for j in of)
        mean = sum(weight(j) * self.v[j][kind] for j in of) / total if of else 0.0
        spread = sum(abs(self.v[j][kind] - mean) / NEAR for j in of)
        out += [mean, spread, total + 0.1 * sum(weight(j) * change(j) for j in known)]
        if kind:
            out += self.v[i][1:kind] + [0] * (9 - kind)
            out += self.each(i, lambda j: [self.v[j][kind] - mean if j in of else 0], [0], [known])
        return out, mean

    # New splats

    def fresh(self) -> None:
        stay = [i for i in range(self.n) if self.index[i][0] != 2]
        n = self.n - len(stay)
        self.new, self.new_geometry, self.new_rgb = {}, [], []
        if not n:
            return
        cell = self.cells(n)
        values, centres = [[0.0] * 5 for _ in cell], []
        for code in cell:
            corner = self.bits(code) * self.side, self.bits(code >> 1) * self.side
            centres.append([math.floor(c + self.side / 2) for c in corner])
        near = [
            sorted(stay, key=lambda j: ((self.xy[j][0] - x) ** 2 + (self.xy[j][1] - y) ** 2, j))
            for x, y in centres
        ]

        def number(kind: int, steps: list[float], low: int, count: int) -> list[int]:
            out = []
            for own, centre, beside, step in zip(values, centres, near, steps):
                features, mean = self.new_features(kind, own, centre, beside, n)
                o = self.network(NEW_KINDS[kind], features)
                p = self.mixture(o, float(NEW_UNITS[kind]), step, mean, low, count)
                out.append(self.weighed(p) + low)
                own[kind] = out[-1] * step
            return out

        unit, half = grid.SIZE_STEP * grid.POWER * self.factor, grid.COLOURS // 2
        scale = [index - 1 for index in number(0, [unit] * n, 1, grid.SIZES)]
        u = [(index + 1) * unit for index in scale]
        least = 2 * grid.OVERSHOOT / grid.COLOURS
        step = [max(grid.COLOUR_STEP * self.factor / (a * a), least) for a in u]
        colour = [number(1 + c, step, -half, 2 * half) for c in range(self.channels)]
        k = [self.factor / min(a, grid.LARGE) for a in u]
        aspect = number(4, [a * grid.ASPECT_STEP for a in k], 0, grid.ASPECTS)
        turns = [math.prod(self.turns(a, index)) for a, index in zip(k, aspect)]
        angle = [self.plain(count) for count in turns]
        theta = [math.pi * index / count for index, count in zip(angle, turns)]
        shapes = list(map(self.shape, u, k, aspect, theta))
        parts, shift = self.shifts(k, shapes)
        self.new_geometry = self.placed(cell, shift, parts, shapes)
        self.new_rgb = self.colours(colour, step)
        columns = [list(column) for column in zip(*colour)]
        self.new = dict(
            cell=cell, scale=scale, aspect=aspect, angle=angle, shift=shift, colour=columns
        )

    def new_features(self, kind: int, own, centre, beside, n: int) -> tuple[list[float], float]:
        (x, y), (width, height) = centre, self.size
        out = [min(x, width - 1 - x, y, height - 1 - y) / self.usual, self.precision - 128]
        out += [math.sqrt(n), math.sqrt(self.n - n), y / height]
        near, distance = beside[:NEAR], []
        for j in near:
            dx, dy = self.xy[j][0] - x, self.xy[j][1] - y
            distance.append(math.sqrt(dx * dx + dy * dy) / self.usual)
        rest = NEAR - len(near)
        weights = [1 / (d * d + 0.1) for d in distance]
        values = [self.known_of[j][kind] for j in near]
        mean = sum(w * v for w, v in zip(weights, values)) / sum(weights) if near else 0.0
        out += [d / (d + 1) for d in distance] + [1] * rest
        out += [v - mean for v in values] + [0] * rest
        out += [mean, sum(abs(v - mean) / NEAR for v in values)]
        return out + own[:kind] + [0] * (5 - kind), mean

    # From changes to a picture

    def changed(self, i: int) -> tuple[float, ...]:
        (x, y, lxx, shear, lyy), index, step = self.moved[i], self.index[i], self.step[i]
        _, dy, dx, *shape = (a * b for a, b in zip(index, step))
        x, y, m = x + dx + shear * dy, y + dy, shape[:3]
        if not any(m):
            return x, y, lxx, shear, lyy
        m11, m12, m22 = (clip(v, -MOST_STRETCH, MOST_STRETCH) for v in m)
        h, e = (m11 - m22) / 2, math.exp((m11 + m22) / 2)
        r = math.sqrt(h * h + m12 * m12)
        o = e * math.sinh(r) / r if r > 1e-9 else e
        e11, e12, e22 = e * math.cosh(r) + o * h, o * m12, e * math.cosh(r) - o * h
        l22 = math.sqrt(e22)
        l12 = e12 / l22
        l11 = math.sqrt(max(e11 - l12 * l12, 1e-6))
        shear = (lxx * l12 + shear * lyy * l22) / (lyy * l22)
        return x, y, max(lxx * l11, SMALLEST), shear, max(lyy * l22, SMALLEST)
