"""The graph of a frame's splats: what a network sees of a record without drawing it.

A node is a splat, an edge leads from each of its nearest neighbours to it, and geometry on edges is
relative: lengths count in mean distances of splats, so that frames of any size and quality compare.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.kernels import inline, kernel
from gaussvae_ros.splats import COLOUR, LOG_S1, LOG_S2, OPPONENT, THETA, Splats, X, Y

NODE, EDGE = 8, 8  # numbers of a node and of an edge
NEIGHBOURS = 8
GROUP = 4  # splats
FEWEST = GROUP + 1  # splats of a frame, so that there are two groups


@dataclass(frozen=True)
class Level:
    """Rows of B frames, those of a frame in a row: its splats, or groups of them.

    `edges` [N, K, EDGE] float32: what `_relate` says of a node and each neighbour. `neighbours`
    [N, K] int32: their rows, nearest first. `starts` [B + 1]: where each frame's rows begin.
    `members` [N, GROUP]: rows of the level below that make a row, the last one repeated if need be.
    """

    edges: np.ndarray
    neighbours: np.ndarray
    starts: np.ndarray
    members: np.ndarray | None = None


@dataclass(frozen=True)
class Graph:
    """The graphs of B frames as one.

    `nodes` [N, NODE] float32: place (x, y over half the frame's longer side, from its middle), size
    (log), thinness along x and y and along the diagonals, light, and two opponent colours. `levels`
    are those of splats and of groups of GROUP splats that follow each other in Morton order.
    """

    nodes: np.ndarray
    levels: tuple[Level, Level]


def graph(frames: Sequence[Splats], neighbours: int = NEIGHBOURS) -> Graph:
    """The graphs of frames, none of which has fewer than FEWEST splats."""
    params = [np.ascontiguousarray(s.params[:, :COLOUR], np.float32) for s in frames]
    units = [np.sqrt(s.size[0] * s.size[1] / len(s)) for s in frames]
    nodes = np.concatenate([_nodes(splats, unit) for splats, unit in zip(frames, units)])
    members = [_members(len(splats)) for splats in frames]
    groups = [_grouped(some, rows) for some, rows in zip(params, members)]
    below = _level(params, units, neighbours)
    wider = [unit * np.sqrt(GROUP) for unit in units]
    rows = np.concatenate([rows + start for rows, start in zip(members, below.starts)])
    return Graph(nodes.astype(np.float32), (below, _level(groups, wider, neighbours, rows)))


def _level(
    params: list[np.ndarray], units: list[float], count: int, members: np.ndarray | None = None
) -> Level:
    """That of rows [N, 5] of each frame, laid out as splats are."""
    starts = np.concatenate([[0], np.cumsum([len(some) for some in params])]).astype(np.int64)
    edges = np.empty((starts[-1], count, EDGE), np.float32)
    rows = np.empty((starts[-1], count), np.int32)
    for first, some, unit in zip(starts, params, units):
        part = slice(first, first + len(some))
        _connect(some, unit, rows[part], edges[part])
        rows[part] += first
    return Level(edges, rows, starts, members)


def _members(count: int) -> np.ndarray:  # [groups, GROUP]
    rows = np.arange(-(-count // GROUP) * GROUP).reshape(-1, GROUP)
    return np.minimum(rows, count - 1)


def _grouped(params: np.ndarray, members: np.ndarray) -> np.ndarray:  # [groups, 5]
    """Groups as round splats in the middle of theirs, as large as these together."""
    made = np.zeros((len(members), params.shape[1]), np.float32)
    made[:, [X, Y]] = params[:, [X, Y]][members].mean(1)
    size = params[:, [LOG_S1, LOG_S2]][members].mean((1, 2)) + np.log(GROUP) / 2
    made[:, LOG_S1] = made[:, LOG_S2] = size
    return made


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
    n, most = rows.shape
    k = min(most, n - 1)
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
        for at in range(k, most):  # where there are no more, the same again
            rows[i, at] = rows[i, at - k]
        for at in range(most):
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
