"""What the level of a voxel is likely to be, by those of voxels before it in its chunk.

At coarse steps a weighted sum of thirteen neighbours does best, whose weights are fitted to each
volume. At fine ones nine predictors do, planes and lines through neighbours and that sum, each
weighed by how well it did nearby (blending predictors, Meyer and Tischer 2001). A record says by
which its levels are coded. All of it is in integers.
"""

import numpy as np

from gaussvae_ros.kernels import leaf

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

# What is kept of a voxel for those after it, so that sums are made in one go: how wrong each
# predictor was, and the guess; 1 if that counts, as it does unless the voxel is unknown. It is in
# `errors` int16 [2, height + 2, (width + 2) * KEPT], of this layer and the last one of a chunk,
# with a border of zeros.
GUESS, COUNTS = PREDICTORS, PREDICTORS + 1
KEPT = 16  # numbers of a voxel, some of them spare

_ERRORS = np.array([0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 60, 90, 140, 220])  # in levels / 8
_STEPS = np.array([0, 1, 2, 3, 7, 15, 31, 63, 127, 255])  # between neighbours, in levels
KINDS = len(_ERRORS) + 1
CLASSES = KINDS + 3 * 3  # of voxels that are as hard to predict


@leaf
def gather(levels, at, reach, top, near):
    """The levels of the voxels before the one at `levels[at]`, which are at the distances `reach`;
    for those that are unknown or outside of the chunk, that of the first that is not.
    """
    least = top
    for k in range(len(NEIGHBOURS)):
        near[k] = levels[np.uint64(at + reach[k])]
        least = min(least, near[k])
    if least < 0:
        spare = top
        for k in range(len(NEIGHBOURS) - 1, -1, -1):
            if near[k] >= 0:
                spare = near[k]
        for k in range(len(NEIGHBOURS)):
            if near[k] < 0:
                near[k] = spare


@leaf
def predict(plan, near, errors, before, z, y, x, top, guesses):
    """A guess in parts of FINE, and how hard this voxel is to predict, below CLASSES; in `guesses`
    what each predictor says, if they are blended.

    `before` int16 [(width + 2) * KEPT] are the sums of errors that `begin_row` makes.
    """
    alike = True
    for k in range(1, len(NEIGHBOURS)):
        alike &= near[k] == near[0]
    guess, kind = FINE * near[0], 0
    if plan[0]:
        each(plan, near, guesses)
        blend, kind = _blended(plan, errors, before, z, y, x, guesses)
        guess = guess if alike else blend
    elif not alike:
        guess, kind = _sum(plan, near), _steps(near)
    if alike:
        kind = KINDS + 3 * (0 if near[0] == top else 1 if near[0] == 0 else 2) + min(kind, 2)
    return min(max(guess, 0), FINE * top), kind


@leaf
def _sum(plan, near):
    total = 0
    for k in range(len(NEIGHBOURS)):
        total += plan[SUM + k] * near[k]
    return total * FINE // UNIT


@leaf
def _steps(near):
    """A class of how much levels differ nearby."""
    w, n, u, nw, uw, un, ne = near[0], near[1], near[2], near[3], near[4], near[5], near[7]
    steps = abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - uw) + abs(u - uw)
    steps += abs(u - un) + abs(n - un)
    kind = 0
    while kind < len(_STEPS) and steps > _STEPS[kind]:
        kind += 1
    return kind


@leaf
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


@leaf
def _blended(plan, errors, before, z, y, x, guesses):
    """A guess of all predictors, and a class of how wrong guesses were nearby."""
    row, at, total, weights = y + 1, KEPT * (x + 1), 0, 0
    for k in range(PREDICTORS):
        wrong = before[at + k] + 2 * errors[z % 2, row, at - KEPT + k] + TRUST * plan[OFF + k]
        weight = _WEIGHTS[min(max(wrong, 0), _SUMS - 1)]  # whatever a record says
        total += weight * guesses[k]
        weights += weight
    wrong = before[at + GUESS] + 2 * errors[z % 2, row, at - KEPT + GUESS]
    count = before[at + COUNTS] + 2 * errors[z % 2, row, at - KEPT + COUNTS]
    wrong = (wrong + count) // max(2 * count, 1)
    kind = 0
    while kind < len(_ERRORS) and wrong > _ERRORS[kind]:
        kind += 1
    return (total + weights // 2) // weights, kind


@leaf
def begin_row(errors, z, y, before):
    """Clear the errors of a row, and add up those of voxels in rows beside and above it: for each
    voxel nine of the ten next ones, those beside and above it twice.
    """
    here, there = z % 2, (z + 1) % 2
    for k in range(KEPT, len(before) - KEPT):
        at = np.uint64(k)
        before[at] = 2 * (errors[here, y, at] + errors[there, y + 1, at])
        before[at] += errors[there, y, at] + errors[there, y + 2, at]
    for k in range(KEPT, len(before) - KEPT):
        at, west, east = np.uint64(k), np.uint64(k - KEPT), np.uint64(k + KEPT)
        before[at] += errors[here, y, west] + errors[there, y, west]
        before[at] += errors[there, y + 1, west] + errors[there, y + 1, east]
        before[at] += errors[here, y, east]
    errors[here, y + 1] = 0


@leaf
def note(guesses, guess, level, errors, z, y, x):
    """Keep how wrong the guesses of a voxel were."""
    row, at = y + 1, KEPT * (x + 1)
    for k in range(PREDICTORS):
        errors[z % 2, row, at + k] = min(abs(guesses[k] - FINE * level), WORST)
    errors[z % 2, row, at + GUESS] = min(abs(guess - FINE * level), WORST)
    errors[z % 2, row, at + COUNTS] = 1


@leaf
def note_nothing(errors, z, y, x):
    """Keep that a voxel was known without a guess."""
    errors[z % 2, y + 1, KEPT * (x + 1) + COUNTS] = 1
