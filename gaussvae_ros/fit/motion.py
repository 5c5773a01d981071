"""How the splats of one frame move to another: dense optical flow, smoothed into a field of few
numbers, then refined on what the splats draw.

Both steps are least squares over the field's coefficients, small ones preferred the more the finer
their level. The second is that of Lucas and Kanade (1981), with the splats' picture as the image
that moves.
"""

import cv2
import numpy as np

from gaussvae_ros.entropy import motion
from gaussvae_ros.entropy.motion import HATS, LEVEL_OF, LEVELS, SIDE, Motion
from gaussvae_ros.kernels import inline, kernel
from gaussvae_ros.raster.cpu import draw, normalise, planes, stretch

FLOW_SIDE = 320  # px of the longer side on which flow is looked for
FLOW_LEAST = 16  # px of the shorter side, below which nothing is taken to move
SIDE_DRAWN = 160  # px of the longer side on which the field is refined
COARSE = 32, 24  # places at which the flow is looked at
RIDGE = np.array([0.008, 0.04, 0.16, 0.6])  # weight of a coefficient's square, by level
ROUNDS = 3  # of robust least squares on the flow
REFINED = 2  # steps on the picture
SWEEPS = 2  # of rounding
# Of a hat over the nodes, by which its coefficient weighs more than a node's.
MEAN_SQUARE = float(np.square(HATS).sum(0).mean())


def find(
    geometry: np.ndarray,  # [N, 5] of the reference, px of the frame
    colour: np.ndarray,  # [N, 3]
    image: np.ndarray,  # uint8 [H, W, 3]
    price: float,  # of a bit, in mean squared errors
) -> tuple[Motion, float]:
    """The field that brings splats nearest to an image for its bits, and what it then costs: the
    mean squared error, seen small, plus price times bits."""
    size = image.shape[1::-1]
    before = picture(geometry, colour, size, _fit(size, FLOW_SIDE))
    target = cv2.resize(image, _fit(size, SIDE_DRAWN), interpolation=cv2.INTER_AREA)
    target = target.astype(np.float32) / 255
    if min(before.shape[:2]) < FLOW_LEAST:
        return motion.NONE, _cost(geometry, colour, motion.NONE, target, size, price)
    flow = _flow(before, image) * (max(size) / max(before.shape[:2]))
    found = _smoothed(flow / motion.unit(size, len(geometry)))
    for _ in range(REFINED):
        a, b = _in_hats(*_on_picture(geometry, colour, found, target, size))
        before, found = found, _solved(a, b, found)
    b = b - (a * (found - before).T.ravel()).sum(1)
    made = _rounded(a, b, found, price * target.size)
    levels = max((int(k) + 1 for k in LEVEL_OF[made.any(1)]), default=0)
    candidates = [motion.NONE, Motion(levels, made)]
    costs = [_cost(geometry, colour, m, target, size, price) for m in candidates]
    best = int(np.argmin(costs))
    return candidates[best], costs[best]


def picture(geometry, colour, size, small) -> np.ndarray:  # [h, w, 3] float32, 0 to 1
    """What splats of a frame of `size` (w, h) px draw at the size `small`."""
    seen, canvas = geometry * stretch(small[0] / size[0], small[1] / size[1]), planes(small)
    draw(seen, colour.astype(np.float32), canvas, small[0])
    image = np.empty((small[1], small[0], 3), np.float32)
    normalise(canvas, image)
    return np.clip(image, 0, 1, out=image)


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """`size` (w, h) px made smaller so that its longer side has at most `side`."""
    scale = min(1.0, side / max(size))
    return tuple(max(1, round(length * scale)) for length in size)


def _flow(before: np.ndarray, image: np.ndarray) -> np.ndarray:  # [h, w, 2] px of `before`
    """Dense flow (DIS, Kroeger et al. 2016) from a drawn picture to an image."""
    after = cv2.resize(image, before.shape[1::-1], interpolation=cv2.INTER_AREA)
    grey = [
        cv2.cvtColor(a, cv2.COLOR_RGB2GRAY)
        for a in (np.round(before * 255).astype(np.uint8), after)
    ]
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*grey, None)


def _smoothed(flow: np.ndarray) -> np.ndarray:  # [SIDE * SIDE, 2]
    """The coefficients nearest to a flow in their units, far ones counting less."""
    flow = cv2.resize(flow, COARSE, interpolation=cv2.INTER_AREA).astype(np.float64)
    one, none = np.ones((*flow.shape[:2], 1)), np.zeros((*flow.shape[:2], 1))
    weight, n = np.ones(flow.shape[:2]), len(HATS)
    for _ in range(ROUNDS):
        sides = [_in_hats(*_normal(one, none, -flow[..., k : k + 1], weight, SIDE)) for k in (0, 1)]
        a, ridge = sides[0][0], _ridge(sides[0][0])[:n] * 2  # the trace is that of one axis
        found = np.stack([_solve(a[:n, :n] + np.diag(ridge), b[:n]) for _, b in sides], 1)
        away = flow - cv2.resize((HATS @ found).reshape(SIDE, SIDE, 2), COARSE)
        weight = 1 / (1 + np.square(away).sum(2) / 16)
    return np.clip(found, -motion.LARGEST, motion.LARGEST)


def _on_picture(geometry, colour, found, target, size):
    """The normal equations of a field's change, from what the moved splats draw."""
    small = target.shape[1::-1]
    drawn = picture(motion.moved(geometry, Motion(LEVELS, found), size), colour, size, small)
    away = target - drawn
    unit = motion.unit(size, len(geometry))
    scale = unit * small[0] / size[0] / 8  # px of the small picture a unit, Sobel's 8
    dx, dy = (cv2.Sobel(drawn, cv2.CV_32F, *axis) * scale for axis in ((1, 0), (0, 1)))
    weight = 1 / (1 + np.square(away).sum(2) / (12 * np.square(away).mean() + 1e-9))
    return _normal(*(a.astype(np.float64) for a in (dx, dy, away, weight)), SIDE)


def _in_hats(a, b):
    """Normal equations of nodal values as those of coefficients."""
    return _folded(HATS, _folded(HATS, a).T.copy()), _folded(HATS, b[:, None])[:, 0]


def _ridge(a: np.ndarray) -> np.ndarray:  # [2 SIDE * SIDE]
    return np.tile(RIDGE[LEVEL_OF], 2) * np.trace(a) / len(a) / MEAN_SQUARE + 1e-9


def _solved(a, b, found) -> np.ndarray:  # [SIDE * SIDE, 2]
    """Coefficients after a step to the least squared error, small ones preferred."""
    ridge = _ridge(a)
    flat = found.T.ravel()
    flat = flat + _solve(a + np.diag(ridge), b - ridge * flat)
    return np.clip(flat, -motion.LARGEST, motion.LARGEST).reshape(2, -1).T


def _rounded(a, b, found, price) -> np.ndarray:  # int64 [SIDE * SIDE, 2]
    """Whole coefficients of least squared error plus `price` times bits, one after the other."""
    flat, levels = found.T.ravel().copy(), np.tile(LEVEL_OF, 2)
    typical = np.array([max(np.abs(found[LEVEL_OF == k]).mean(), 0.2) for k in range(LEVELS)])
    _round(a, b.copy(), flat, typical[levels], price)
    return (
        np.clip(np.round(flat), -motion.LARGEST, motion.LARGEST).astype(np.int64).reshape(2, -1).T
    )


# Kernels, not numpy's: for so small a system its threads take longer to wake than to work.


@kernel()
def _folded(hats, a):
    """hats' times each half of the rows of `a` [2 M, K]; few of hats' [M, M] numbers are not 0."""
    out, n = np.zeros_like(a), len(hats)
    for k in range(n):
        for i in range(n):
            share = hats[k, i]
            if share != 0:
                for j in range(a.shape[1]):
                    out[i, j] += share * a[k, j]
                    out[n + i, j] += share * a[n + k, j]
    return out


@kernel(fastmath=True)
def _solve(a, b):
    """The solution x of a x = b, `a` [M, M] positive definite, by Cholesky's decomposition."""
    n = len(b)
    root, x = np.zeros_like(a), b.copy()
    for i in range(n):
        for j in range(i + 1):
            rest = a[i, j]
            for k in range(j):
                rest -= root[i, k] * root[j, k]
            root[i, j] = np.sqrt(max(rest, 1e-30)) if i == j else rest / root[j, j]
        for k in range(i):
            x[i] -= root[i, k] * x[k]
        x[i] /= root[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= root[i, i]
        for k in range(i):
            x[k] -= root[i, k] * x[i]
    return x


@kernel()
def _round(a, slope, flat, typical, price):
    """Round `flat` in place. `slope` is minus the gradient of half the squared error there."""
    for _ in range(SWEEPS):
        for k in range(len(flat) - 1, -1, -1):
            best, least = flat[k], np.inf
            ideal = flat[k] + slope[k] / (a[k, k] + 1e-12)
            for value in (0.0, np.floor(ideal), np.floor(ideal) + 1):
                step = value - flat[k]
                z = value / typical[k]
                cost = 0.5 * a[k, k] * step * step - slope[k] * step
                cost += price / 2 * 2 * np.log2(1 + z * z)
                if cost < least:
                    best, least = value, cost
            step = best - flat[k]
            flat[k] = best
            for j in range(len(flat)):
                slope[j] -= a[j, k] * step


def _cost(geometry, colour, made, target, size, price) -> float:
    drawn = picture(motion.moved(geometry, made, size), colour, size, target.shape[1::-1])
    return float(np.square(drawn - target).mean()) + price * motion.bits(made)


@kernel()
def _normal(dx, dy, away, weight, side):
    """A [2 M, 2 M] and b [2 M] of the nodal values d that make weight (dx d_x + dy d_y + away)^2
    least, M = side^2.

    `dx`, `dy`, `away` [h, w, C] say how the picture rises along x and y, and what it lacks; a
    picture that moves by d changes by -dx d_x - dy d_y.
    """
    height, width = weight.shape
    n = side * side
    a, b = np.zeros((2 * n, 2 * n)), np.zeros(2 * n)
    # Of a row's pixels between two columns of nodes, by how far each is from the left one: squares
    # (xx, xy, yy) with (1 - u)^2, (1 - u) u and u^2, and products with `away` with 1 - u and u.
    squares, products = np.zeros((3, 3)), np.zeros((2, 2))
    down = np.empty(2)
    for y in range(height):
        v = (y + 0.5) / height * (side - 1)
        j = min(int(v), side - 2)
        down[0], down[1] = 1 - (v - j), v - j
        for i in range(side - 1):
            ll_xx = ll_xy = ll_yy = lr_xx = lr_xy = lr_yy = rr_xx = rr_xy = rr_yy = 0.0
            l_x = l_y = r_x = r_y = 0.0
            for x in range(_column(i, width, side), _column(i + 1, width, side)):
                u = (x + 0.5) / width * (side - 1) - i
                xx, xy, yy, x_away, y_away = 0.0, 0.0, 0.0, 0.0, 0.0
                for c in range(dx.shape[2]):
                    p, q, r = dx[y, x, c], dy[y, x, c], away[y, x, c]
                    xx += p * p
                    xy += p * q
                    yy += q * q
                    x_away += p * r
                    y_away += q * r
                left, right = weight[y, x] * (1 - u), weight[y, x] * u
                ll, lr, rr = left * (1 - u), left * u, right * u
                ll_xx, ll_xy, ll_yy = ll_xx + ll * xx, ll_xy + ll * xy, ll_yy + ll * yy
                lr_xx, lr_xy, lr_yy = lr_xx + lr * xx, lr_xy + lr * xy, lr_yy + lr * yy
                rr_xx, rr_xy, rr_yy = rr_xx + rr * xx, rr_xy + rr * xy, rr_yy + rr * yy
                l_x, l_y = l_x + left * x_away, l_y + left * y_away
                r_x, r_y = r_x + right * x_away, r_y + right * y_away
            squares[0, 0], squares[0, 1], squares[0, 2] = ll_xx, ll_xy, ll_yy
            squares[1, 0], squares[1, 1], squares[1, 2] = lr_xx, lr_xy, lr_yy
            squares[2, 0], squares[2, 1], squares[2, 2] = rr_xx, rr_xy, rr_yy
            products[0, 0], products[0, 1] = l_x, l_y
            products[1, 0], products[1, 1] = r_x, r_y
            for k in range(4):
                at = (j + k // 2) * side + i + k % 2
                b[at] -= down[k // 2] * products[k % 2, 0]
                b[n + at] -= down[k // 2] * products[k % 2, 1]
                for m in range(4):
                    to, both = (j + m // 2) * side + i + m % 2, down[k // 2] * down[m // 2]
                    which = k % 2 + m % 2
                    a[at, to] += both * squares[which, 0]
                    a[at, n + to] += both * squares[which, 1]
                    a[n + at, n + to] += both * squares[which, 2]
    a[n:, :n] = a[:n, n:].T
    return a, b


@inline
def _column(i, width, side):
    """The first pixel of a row that is not left of node column i; of the last column, its end."""
    if i == side - 1:
        return width
    return min(max(int(np.ceil(i * width / (side - 1) - 0.5)), 0), width)
