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
PREDICTORS = 9
FINE = 16  # parts of a level in which predictions are made
WORST = 20 * FINE  # error that counts, at most
TRUST = 5  # voxels nearby that what is known of a predictor beforehand counts for
_SUMS = (13 + TRUST) * WORST + 1
_WEIGHTS = np.array([(1 << 56) // (FINE * FINE * 16 + s * s) ** 2 for s in range(_SUMS)])

# What a record says of predictions, int64 [PLAN]: whether they are blended, the weights of the
# neighbours, and by how much each predictor is off in the mean, in parts of FINE.
UNIT = 4096  # of a weight
SUM = 1
OFF = SUM + len(NEIGHBOURS)
PLAN = OFF + PREDICTORS

# What is kept of a voxel for those after it, int16 [LANES], for sums in one go: how wrong each
# predictor was, and the guess; 1 if that counts, as it does unless the voxel is unknown.
GUESS, COUNTS = PREDICTORS, PREDICTORS + 1
LANES = 16

_ERRORS = np.array([0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 60, 90, 140, 220])  # in levels / 8
_STEPS = np.array([0, 1, 2, 3, 7, 15, 31, 63, 127, 255])  # between neighbours, in levels
KINDS = len(_ERRORS) + 1
CLASSES = KINDS + 3 * 3  # of voxels that are as hard to predict


@kernel(error_model="numpy")
def gather(levels, at, reach, top, near):
    """The levels of the voxels before the one at `levels[at]`, which are at the distances `reach`;
    for those that are unknown or outside of the chunk, that of the first that is not.
    """
    least = top
    for k in range(len(NEIGHBOURS)):
        near[k] = levels[at + reach[k]]
        least = min(least, near[k])
    if least < 0:
        spare = top
        for k in range(len(NEIGHBOURS) - 1, -1, -1):
            if near[k] >= 0:
                spare = near[k]
        for k in range(len(NEIGHBOURS)):
            if near[k] < 0:
                near[k] = spare


@kernel(error_model="numpy")
def predict(plan, near, before, row, x, top, guesses):
    """A guess in parts of FINE, and how hard this voxel is to predict, below CLASSES; in `guesses`
    what each predictor says, if they are blended.

    `row` int16 [(voxels + 2) * LANES] holds the errors of the voxels before it along x, `before`
    the sums of those beside and above, see `add_up`.
    """
    alike = True
    for k in range(1, len(NEIGHBOURS)):
        alike &= near[k] == near[0]
    guess, kind = FINE * near[0], 0
    if plan[0]:
        each(plan, near, guesses)
        blend, kind = _blended(plan, before, row, x, guesses)
        guess = guess if alike else blend
    elif not alike:
        guess, kind = _sum(plan, near), _steps(near)
    if alike:
        kind = KINDS + 3 * (0 if near[0] == top else 1 if near[0] == 0 else 2) + min(kind, 2)
    return min(max(guess, 0), FINE * top), kind


@kernel(error_model="numpy")
def _sum(plan, near):
    total = 0
    for k in range(len(NEIGHBOURS)):
        total += plan[SUM + k] * near[k]
    return total * FINE // UNIT


@kernel(error_model="numpy")
def _steps(near):
    """A class of how much levels differ nearby."""
    w, n, u, nw, uw, un, ne = near[0], near[1], near[2], near[3], near[4], near[5], near[7]
    steps = abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - uw) + abs(u - uw)
    steps += abs(u - un) + abs(n - un)
    kind = 0
    while kind < len(_STEPS) and steps > _STEPS[kind]:
        kind += 1
    return kind


@kernel(error_model="numpy")
def each(plan, near, guesses):
    """What each predictor says, in parts of FINE."""
    w, n, u, nw, uw, un, unw = near[0], near[1], near[2], near[3], near[4], near[5], near[6]
    guesses[0] = FINE * (w + n + u - nw - uw - un + unw)
    guesses[1] = FINE * (w + n - nw)
    guesses[2] = FINE * (w + u - uw)
    guesses[3] = FINE * (n + u - un)
    guesses[4] = FINE * (2 * w - near[10])
    guesses[5] = FINE * (2 * n - near[11])
    guesses[6] = FINE * (2 * u - near[12])
    guesses[7] = FINE * (w + n + u) // 3
    guesses[8] = _sum(plan, near)


@kernel(error_model="numpy")
def _blended(plan, before, row, x, guesses):
    """A guess of all predictors, and a class of how wrong guesses were nearby."""
    at, total, weights = LANES * x, 0, 0  # of the voxel before, as the first is that of the border
    for k in range(PREDICTORS):
        wrong = before[at + LANES + k] + 2 * row[at + k] + TRUST * plan[OFF + k]
        weight = _WEIGHTS[min(max(wrong, 0), _SUMS - 1)]  # whatever a record says
        total += weight * guesses[k]
        weights += weight
    wrong = before[at + LANES + GUESS] + 2 * row[at + GUESS]
    count = before[at + LANES + COUNTS] + 2 * row[at + COUNTS]
    wrong = (wrong + count) // max(2 * count, 1)
    kind = 0
    while kind < len(_ERRORS) and wrong > _ERRORS[kind]:
        kind += 1
    return (total + weights // 2) // weights, kind


@kernel(error_model="numpy")
def add_up(north, up, up_north, up_south, before):
    """Add up the errors of the ten voxels that count, but for the one before along x, the next
    three twice, for a row of voxels whose rows beside and above these are.
    """
    for k in range(LANES, len(before) - LANES):
        before[k] = 2 * (north[k] + up[k]) + up_north[k] + up_south[k]
    for k in range(LANES, len(before) - LANES):
        before[k] += north[k - LANES] + up[k - LANES] + up_north[k - LANES]
        before[k] += north[k + LANES] + up[k + LANES]


@kernel(error_model="numpy")
def note(guesses, guess, level, row, x):
    """Keep how wrong the guesses of a voxel were."""
    at = LANES * (x + 1)
    for k in range(PREDICTORS):
        row[at + k] = min(abs(guesses[k] - FINE * level), WORST)
    row[at + GUESS] = min(abs(guess - FINE * level), WORST)
    row[at + COUNTS] = 1
