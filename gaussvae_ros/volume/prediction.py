"""What the level of a voxel is likely to be, by those of voxels before it in its chunk.

At coarse steps a weighted sum of thirteen neighbours does best, whose weights are fitted to each
volume. At fine ones nine predictors do, planes and lines through neighbours and that sum, each
weighed by how well it did nearby (blending predictors, Meyer and Tischer 2001). A record says by
which its levels are coded. All of it is in integers.
"""

import numpy as np

from gaussvae_ros.kernels import kernel

NEIGHBOURS = np.array(  # z, y, x steps to voxels that come before in a chunk
    [
        (0, 0, -1), (0, -1, 0), (-1, 0, 0),
        (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (-1, -1, -1),
        (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
        (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ]
)  # fmt: skip
_NEAR = 10  # of them whose errors count, the first three twice
PREDICTORS = 9
FINE = 16  # parts of a level in which predictions are made
WORST = 20 * FINE  # error that counts, at most
UNKNOWN = -1  # error of a voxel that is not coded
TRUST = 5  # voxels nearby that what is known of a predictor beforehand counts for
_SUMS = (13 + TRUST) * WORST + 1
_WEIGHTS = np.array([(1 << 56) // (FINE * FINE * 16 + s * s) ** 2 for s in range(_SUMS)])

# What a record says of predictions, int64 [PLAN]: whether they are blended, the weights of the
# neighbours, and by how much each predictor is off in the mean, in parts of FINE.
UNIT = 4096  # of a weight
SUM = 1
OFF = SUM + len(NEIGHBOURS)
PLAN = OFF + PREDICTORS

_ERRORS = np.array([0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 60, 90, 140, 220])  # in levels / 8
_STEPS = np.array([0, 1, 2, 3, 7, 15, 31, 63, 127, 255])  # between neighbours, in levels
KINDS = len(_ERRORS) + 1
CLASSES = KINDS + 3 * 3  # of voxels that are as hard to predict


@kernel(error_model="numpy")
def gather(q, known, z, y, x, top, near):
    """The levels of the voxels before one; for those that are unknown or outside of the chunk, that
    of the first that is not.
    """
    depth, height, width = q.shape
    spare = -1
    for k in range(len(NEIGHBOURS)):
        zz, yy, xx = z + NEIGHBOURS[k, 0], y + NEIGHBOURS[k, 1], x + NEIGHBOURS[k, 2]
        near[k] = -1
        if zz >= 0 and 0 <= yy < height and 0 <= xx < width:
            if known.size == 0 or known[zz, yy, xx]:
                near[k] = q[zz, yy, xx]
                if spare < 0:
                    spare = near[k]
    if spare < 0:
        spare = top
    for k in range(len(NEIGHBOURS)):
        if near[k] < 0:
            near[k] = spare


@kernel(error_model="numpy")
def predict(plan, near, errors, z, y, x, top, guesses):
    """A guess in parts of FINE, and how hard this voxel is to predict, below CLASSES; in `guesses`
    what each predictor says.

    `errors` int16 [z, y, x, PREDICTORS + 1] of the chunk's voxels before this one: of each
    predictor, and of what was guessed.
    """
    total = 0
    for k in range(len(NEIGHBOURS)):
        total += plan[SUM + k] * near[k]
    guesses[8] = total * FINE // UNIT
    flat = True
    for other in near:
        flat &= other == near[0]
    if not plan[0]:
        guess, kind = guesses[8], _steps(near)
    else:
        guess, kind = _blended(plan, near, errors, z, y, x, guesses)
    if flat:
        guess = FINE * near[0]
        kind = KINDS + 3 * (0 if near[0] == top else 1 if near[0] == 0 else 2) + min(kind, 2)
    return min(max(guess, 0), FINE * top), kind


@kernel(error_model="numpy")
def _steps(near):
    """A class of how much levels differ nearby."""
    w, n, u, nw, uw, un, _, ne = near[:8]
    steps = abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - uw) + abs(u - uw)
    steps += abs(u - un) + abs(n - un)
    kind = 0
    while kind < len(_STEPS) and steps > _STEPS[kind]:
        kind += 1
    return kind


@kernel(error_model="numpy")
def _blended(plan, near, errors, z, y, x, guesses):
    """A guess of all predictors, and a class of how wrong guesses were nearby."""
    w, n, u, nw, uw, un, unw, _, _, _, ww, nn, uu = near
    guesses[0] = FINE * (w + n + u - nw - uw - un + unw)
    guesses[1] = FINE * (w + n - nw)
    guesses[2] = FINE * (w + u - uw)
    guesses[3] = FINE * (n + u - un)
    guesses[4] = FINE * (2 * w - ww)
    guesses[5] = FINE * (2 * n - nn)
    guesses[6] = FINE * (2 * u - uu)
    guesses[7] = FINE * (w + n + u) // 3
    sums, wrong, count = TRUST * plan[OFF:PLAN], 0, 0
    height, width = errors.shape[1:3]
    for k in range(_NEAR):
        zz, yy, xx = z + NEIGHBOURS[k, 0], y + NEIGHBOURS[k, 1], x + NEIGHBOURS[k, 2]
        if zz >= 0 and 0 <= yy < height and 0 <= xx < width:
            if errors[zz, yy, xx, PREDICTORS] != UNKNOWN:
                times = 2 if k < 3 else 1
                for j in range(PREDICTORS):
                    sums[j] += times * errors[zz, yy, xx, j]
                wrong += times * errors[zz, yy, xx, PREDICTORS]
                count += times
    total, weights = 0, 0
    for k in range(PREDICTORS):
        weight = _WEIGHTS[min(max(sums[k], 0), _SUMS - 1)]  # whatever a record says
        total += weight * guesses[k]
        weights += weight
    wrong = (wrong + count) // max(2 * count, 1)
    kind = 0
    while kind < len(_ERRORS) and wrong > _ERRORS[kind]:
        kind += 1
    return (total + weights // 2) // weights, kind


@kernel(error_model="numpy")
def note(guesses, guess, level, errors):
    """Keep in `errors` [PREDICTORS + 1] of a voxel how wrong its guesses were."""
    for k in range(PREDICTORS):
        errors[k] = min(abs(guesses[k] - FINE * level), WORST)
    errors[PREDICTORS] = min(abs(guess - FINE * level), WORST)
