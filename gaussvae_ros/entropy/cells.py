"""Where splats are, to the nearest cell: counts in the halves of halves, Z-order.

The image is laid into a square of 2^k by 2^k cells. Starting with all n splats in the square, each
node says how many of its m splats lie in its first half (halving y, then x, in turn), down to
single cells. What is coded is thus the set of splats, not a sequence, which spares log2(n!) bits,
and the cells come out in Z-order (Morton 1966).
"""

import numpy as np

from gaussvae_ros.errors import RecordError
from gaussvae_ros.kernels import kernel

# Concentration of the beta-binomial distribution of such a split, by how many splats an even spread
# would put into the node: small where fits cluster their splats, large where they space them.
EXPECTED = np.array([1.0, 4.0, 16.0, 64.0])
CONCENTRATION = np.array([12, 8, 6, 6, 6])
# Nodes are coded in groups of alike counts, so that tables stay narrow.
COUNTS = 0, 8, 64, 1 << 30


def depth(size: tuple[int, int], n: int) -> int:
    """k for `n` splats on an image of `size` (w, h) px: cells about half as wide as the
    mean distance of splats."""
    k = 0
    while max(size) ** 2 * 4 * n > size[0] * size[1] << 2 * k and k < 15:
        k += 1
    return k


def code_cells(
    coder, size: tuple[int, int], n: int, cells: np.ndarray | None, among: int | None = None
) -> np.ndarray:
    """Write or read the cells [n] (Z-order codes, sorted) of `n` splats, in cells as fine as for
    `among` (default: n)."""
    k = depth(size, among or n)
    side = max(size) / 2**k  # px
    width, height = size[0] / side, size[1] / side  # in cells
    nodes, counts = np.zeros(1, np.int64), np.array([n])
    for level in range(2 * k - 1, -1, -1):  # bits of the code, from the top
        share, inside = _halves(nodes, level, width, height)
        expected = n * inside / (width * height)
        first = (
            None
            if coder.reads
            else np.bincount(
                np.searchsorted(nodes, cells >> level + 1), ~(cells >> level) & 1, len(nodes)
            ).astype(np.int64)
        )
        first = _split(coder, first, counts, share, expected)
        nodes = np.stack([2 * nodes, 2 * nodes + 1], 1).ravel()
        counts = np.stack([first, counts - first], 1).ravel()
        nodes, counts = nodes[counts > 0], counts[counts > 0]
    return np.repeat(nodes, counts)


@kernel()
def _halves(nodes, level, width, height):
    """Of the nodes at a level, the share of the image's area that lies in their first half,
    and that area, in cells."""
    x, y = coordinates(nodes << level + 1)
    wide, tall = 1 << (level + 2) // 2, 1 << (level + 1) // 2  # of a node, in cells
    share, inside = np.empty(len(nodes)), np.empty(len(nodes))
    for i in range(len(nodes)):
        inside_x, inside_y = min(max(width - x[i], 0.0), wide), min(max(height - y[i], 0.0), tall)
        if level % 2:
            share[i] = min(inside_y, tall // 2) / max(inside_y, 1e-9)
        else:
            share[i] = min(inside_x, wide // 2) / max(inside_x, 1e-9)
        inside[i] = inside_x * inside_y
    return share, inside


def cell_of(xy: np.ndarray, size: tuple[int, int], n: int) -> np.ndarray:
    """Z-order codes [N] of the cells that points [N, 2] px lie in."""
    k = depth(size, n)
    # Columns and rows that the image reaches.
    last = [-(-side * 2**k // max(size)) - 1 for side in size]
    at = np.clip((xy * (2**k / max(size))).astype(np.int64), 0, last)
    code = np.zeros(len(xy), np.int64)
    for bit in range(k):
        code |= (at[:, 0] >> bit & 1) << 2 * bit | (at[:, 1] >> bit & 1) << 2 * bit + 1
    return code


def corner(cells: np.ndarray, size: tuple[int, int], n: int) -> tuple[np.ndarray, float]:
    """Top left corners [N, 2] px of cells, and their side, px."""
    side = max(size) / 2 ** depth(size, n)
    return np.stack(coordinates(cells), 1) * side, side


def _split(coder, first, counts, share, expected):
    """Code how many of `counts` [nodes] lie in the first half, whose `share` of the
    node's area is given."""
    total = 2 * CONCENTRATION[np.searchsorted(EXPECTED, expected)]
    alpha = np.clip(np.round(total * share), 1, total - 1).astype(np.int64)
    out = np.where(share > 0, counts, 0)
    unknown = np.flatnonzero((share > 0) & (share < 1) & (counts > 0))
    among = counts[unknown]
    for few, many in zip(COUNTS, COUNTS[1:]):
        rows = unknown[(among > few) & (among <= many)]
        if len(rows):
            p = beta_binomial(counts[rows], alpha[rows], total[rows] - alpha[rows])
            out[rows] = coder.symbols(None if first is None else first[rows], p)
    if coder.reads and (out > counts).any():
        raise RecordError("record is damaged: impossible splat positions")
    return out


@kernel()
def beta_binomial(m: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Unnormalised probabilities [nodes, max(m) + 1] of 0..m under the beta-binomial distribution
    with integer parameters.

    p(k) = C(k + alpha - 1, k) C(m - k + beta - 1, m - k), by its recurrence: only + - * /, so
    the same on all machines.
    """
    p = np.zeros((len(m), m.max() + 1))
    for i in range(len(m)):
        p[i, 0] = 1.0
        for k in range(1, m[i] + 1):
            p[i, k] = (
                p[i, k - 1] * ((alpha[i] + k - 1) * (m[i] - k + 1)) / (k * (m[i] - k + beta[i]))
            )
    return p


@kernel()
def coordinates(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of cells, from their Z-order codes."""
    x, y = np.zeros_like(codes), np.zeros_like(codes)
    for i in range(len(codes)):
        for bit in range(16):
            x[i] |= (codes[i] >> 2 * bit & 1) << bit
            y[i] |= (codes[i] >> 2 * bit + 1 & 1) << bit
    return x, y
