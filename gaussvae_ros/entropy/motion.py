"""How splats move from one frame to the next: a displacement field of few numbers.

The field is bilinear between SIDE by SIDE nodes that span the frame. It is coded as a sum of hats
on ever finer grids of nodes (the hierarchical basis of Yserentant 1986): where the motion is
smooth, the finer levels are zero, or left out.
"""

from dataclasses import dataclass

import numpy as np

from gaussvae_ros.kernels import inline, kernel

SIDES = 2, 3, 5, 9  # nodes along a side of each level
SIDE = SIDES[-1]
LEVELS = len(SIDES)
STEP = 0.045  # of coefficients, relative to the mean distance of splats
LARGEST = 255  # coefficient, either way
# Typical size of the coefficients of a level, one of so many, each sqrt(2) times the one before.
WIDTHS = 16
NARROWEST = 0.25
SMALLEST = 0.3  # px; as thin as a moved splat may become


@dataclass(frozen=True)
class Motion:
    """A displacement field: `coefficients` int64 [SIDE * SIDE, 2] in the order of `hats`, those of
    levels from `levels` on being zero."""

    levels: int  # 0 to LEVELS
    coefficients: np.ndarray


def hats() -> tuple[np.ndarray, np.ndarray]:
    """The nodal values [SIDE * SIDE, SIDE * SIDE] that coefficients of 1 stand for, by column, and
    each one's level."""
    columns, levels = [], []
    rows, across = np.mgrid[:SIDE, :SIDE]
    for level, side in enumerate(SIDES):
        step = (SIDE - 1) // (side - 1)
        for y in range(0, SIDE, step):
            for x in range(0, SIDE, step):
                if level and y % (2 * step) == 0 and x % (2 * step) == 0:
                    continue  # a node of a coarser level
                hat = np.clip(1 - abs(rows - y) / step, 0, 1)
                columns.append((hat * np.clip(1 - abs(across - x) / step, 0, 1)).ravel())
                levels.append(level)
    return np.stack(columns, 1), np.array(levels)


HATS, LEVEL_OF = hats()
NONE = Motion(0, np.zeros((SIDE * SIDE, 2), np.int64))


def unit(size: tuple[int, int], n: int) -> float:
    """What a coefficient of 1 stands for, px, in a frame of `size` (w, h) px and `n` splats."""
    return STEP * float(np.sqrt(size[0] * size[1] / n))


def nodes(motion: Motion, size: tuple[int, int], n: int) -> np.ndarray:  # [SIDE, SIDE, 2] px
    """The displacement at each node of a frame of `size` (w, h) px and `n` splats."""
    return (HATS @ motion.coefficients * unit(size, n)).reshape(SIDE, SIDE, 2)


def moved(
    geometry: np.ndarray,  # [N, 5] as in raster.cpu, px of the frame
    motion: Motion,
    size: tuple[int, int],
) -> np.ndarray:
    """Splats where a field takes them: centres by its value there, shapes by how it changes over
    their extent."""
    return displaced(geometry, nodes(motion, size, len(geometry)), *map(float, size))


@kernel()
def displaced(geometry, nodes, width, height):
    """`moved` by the displacements [SIDE, SIDE, 2] px of nodes."""
    out = np.empty_like(geometry)
    for i in range(len(geometry)):
        x, y, lxx, shear, lyy = geometry[i]
        away_x, away_y = displacement(nodes, x / width, y / height)
        reach = max(np.sqrt(lxx * lxx + lyy * lyy), 4.0)  # px, across which slopes are taken
        right_x, right_y = displacement(nodes, (x + reach) / width, y / height)
        left_x, left_y = displacement(nodes, (x - reach) / width, y / height)
        low_x, low_y = displacement(nodes, x / width, (y + reach) / height)
        high_x, high_y = displacement(nodes, x / width, (y - reach) / height)
        a, b = 1 + (right_x - left_x) / (2 * reach), (low_x - high_x) / (2 * reach)
        c, d = (right_y - left_y) / (2 * reach), 1 + (low_y - high_y) / (2 * reach)
        yy = lyy * lyy
        xx, xy = lxx * lxx + shear * shear * yy, shear * yy
        # the covariance J S J' of J = [[a, b], [c, d]]
        new_xy = a * c * xx + (a * d + b * c) * xy + b * d * yy
        new_yy = max(c * c * xx + 2 * c * d * xy + d * d * yy, SMALLEST * SMALLEST)
        out[i, 0], out[i, 1] = x + away_x, y + away_y
        out[i, 4] = np.sqrt(new_yy)
        out[i, 3] = new_xy / new_yy
        # from the determinant: exact on thin splats
        out[i, 2] = max(abs(a * d - b * c) * lxx * lyy / out[i, 4], SMALLEST)
    return out


@inline
def displacement(nodes, u, v):
    """The field at a place of the frame, as a share (u, v) of its sides; at its border outside."""
    u, v = min(max(u, 0.0), 1.0) * (SIDE - 1), min(max(v, 0.0), 1.0) * (SIDE - 1)
    i, j = min(int(u), SIDE - 2), min(int(v), SIDE - 2)
    u, v = u - i, v - j
    x = (nodes[j, i, 0] * (1 - u) + nodes[j, i + 1, 0] * u) * (1 - v)
    x += (nodes[j + 1, i, 0] * (1 - u) + nodes[j + 1, i + 1, 0] * u) * v
    y = (nodes[j, i, 1] * (1 - u) + nodes[j, i + 1, 1] * u) * (1 - v)
    y += (nodes[j + 1, i, 1] * (1 - u) + nodes[j + 1, i + 1, 1] * u) * v
    return x, y


def code_motion(coder, motion: Motion | None) -> Motion:
    """Write, weigh or (with None) read a field."""
    coder.part = "motion"
    levels = coder.uniform(motion and np.array([motion.levels]), np.array([LEVELS + 1]))[0]
    out = np.zeros((SIDE * SIDE, 2), np.int64)
    for level in range(levels):
        rows = LEVEL_OF == level
        for axis in range(2):
            values = None if motion is None else motion.coefficients[rows, axis]
            width = coder.uniform(
                None if values is None else np.array([width_index(values)]), np.array([WIDTHS])
            )[0]
            table = np.repeat(TABLES[width][None], rows.sum(), axis=0)
            shifted = None if values is None else values + LARGEST
            out[rows, axis] = coder.symbols(shifted, table) - LARGEST
    return Motion(int(levels), out)


def width_index(values: np.ndarray) -> int:
    """Of TABLES, the one under which values are shortest."""
    return int(np.argmin(BITS[:, values + LARGEST].sum(1)))


def bits(motion: Motion) -> float:
    """About what a field takes."""
    total = 3.0
    for level in range(motion.levels):
        for axis in range(2):
            values = motion.coefficients[LEVEL_OF == level, axis]
            total += 4 + BITS[:, values + LARGEST].sum(1).min()
    return total


def _tables() -> np.ndarray:  # [WIDTHS, 2 LARGEST + 1]
    """Unnormalised probabilities of coefficients -LARGEST..LARGEST by typical size s: (1 + (v /
    s)^2)^-2, Student's t with 3 degrees of freedom."""
    tables, width = [], NARROWEST
    for _ in range(WIDTHS):
        z = np.arange(-LARGEST, LARGEST + 1) / width
        q = 1.0 + z * z
        tables.append(1.0 / (q * q) + 1e-6)
        width *= 1.4142135623730951
    return np.stack(tables)


TABLES = _tables()
BITS = -np.log2(TABLES / TABLES.sum(1)[:, None])
