"""The graph of a frame's splats: what a network sees of a record without drawing it.

A node is a splat, an edge leads from each of its nearest neighbours to it, and geometry on edges is
relative: lengths count in mean distances of splats, so that frames of any size and quality compare.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.kernels import inline, kernel
from gaussvae_ros.splats import COLOUR, LOG_S1, LOG_S2, THETA, Splats, X, Y

NODE, EDGE = 8, 8  # numbers of a node and of an edge
NEIGHBOURS = 8
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


@dataclass(frozen=True)
class Graph:
    """The graphs of B frames as one, rows of a frame in a row.

    `nodes` [N, NODE] float32: place (x, y over half the frame's longer side, from its middle), size
    (log), thinness along x and y and along the diagonals, light, and two opponent colours.
    `edges` [N, K, EDGE] float32: what `_relate` says of a node and each neighbour.
    `neighbours` [N, K] int32: rows, nearest first. `starts` [B + 1]: where each frame's rows begin.
    """

    nodes: np.ndarray
    edges: np.ndarray
    neighbours: np.ndarray
    starts: np.ndarray


def graph(frames: Sequence[Splats], neighbours: int = NEIGHBOURS) -> Graph:
    """The graphs of frames, none of which has fewer than `neighbours` + 1 splats."""
    counts = [len(splats) for splats in frames]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    total = int(starts[-1])
    nodes = np.empty((total, NODE), np.float32)
    edges = np.empty((total, neighbours, EDGE), np.float32)
    rows = np.empty((total, neighbours), np.int32)
    for first, splats in zip(starts, frames):
        part = slice(first, first + len(splats))
        unit = np.sqrt(splats.size[0] * splats.size[1] / len(splats))
        nodes[part] = _nodes(splats, unit)
        params = np.ascontiguousarray(splats.params[:, :COLOUR], np.float32)
        _connect(params, unit, rows[part], edges[part])
        rows[part] += first
    return Graph(nodes, edges, rows, starts)


def _nodes(splats: Splats, unit: float) -> np.ndarray:  # [N, NODE]
    params, size = splats.params, np.array(splats.size)
    thin = np.tanh((params[:, LOG_S1] - params[:, LOG_S2]) / 2)
    colour = params[:, COLOUR:] if splats.channels == 3 else params[:, [COLOUR] * 3]
    opponent = np.clip((colour - 0.5) @ OPPONENT.T, -1.5, 1.5)
    return np.column_stack(
        [
            (params[:, [X, Y]] - size / 2) * (2 / size.max()),
            (params[:, LOG_S1] + params[:, LOG_S2]) / 2 - np.log(unit),
            thin * np.cos(2 * params[:, THETA]),
            thin * np.sin(2 * params[:, THETA]),
            opponent * [2, 4, 4],
        ]
    )


@kernel(error_model="numpy")
def _connect(params, unit, rows, edges):
    """The nearest neighbours of each splat of [N, 5], and their relations, into `rows` [N, K] and
    `edges` [N, K, EDGE]."""
    n, k = rows.shape
    away = np.empty(k, np.float32)
    for i in range(n):
        away[:] = np.inf
        for j in range(n):
            if j == i:
                continue
            dx, dy = params[j, 0] - params[i, 0], params[j, 1] - params[i, 1]
            d = dx * dx + dy * dy
            if d >= away[k - 1]:
                continue
            at = k - 1
            while at > 0 and away[at - 1] > d:
                away[at], rows[i, at] = away[at - 1], rows[i, at - 1]
                at -= 1
            away[at], rows[i, at] = d, j
        for at in range(k):
            _relate(params[i], params[rows[i, at]], unit, edges[i, at])


@inline
def _relate(here, there, unit, out):
    """An edge: the way x, y and its length; how far that is in the widths of the node along its two
    axes; the ratio of sizes (log); how alike the directions are, along and across."""
    dx, dy = (there[0] - here[0]) / unit, (there[1] - here[1]) / unit
    length = np.sqrt(dx * dx + dy * dy)
    out[0], out[1], out[2] = np.tanh(dx / 2) * 2, np.tanh(dy / 2) * 2, np.log1p(length)
    c, s = np.cos(here[4]), np.sin(here[4])
    out[3] = np.log1p(abs(c * dx + s * dy) * unit * np.exp(-here[2]))
    out[4] = np.log1p(abs(c * dy - s * dx) * unit * np.exp(-here[3]))
    out[5] = (there[2] + there[3] - here[2] - here[3]) / 2
    thin = np.tanh((here[2] - here[3]) / 2) * np.tanh((there[2] - there[3]) / 2)
    turn = 2 * (there[4] - here[4])
    out[6], out[7] = thin * np.cos(turn), thin * np.sin(turn)
