"""Splats to bits and back: the coder, cells, contexts, grid and stream, each against something independent of it."""

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from grids import random_grid
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from gaussvae_ros.entropy import cells, contexts, grid, prior, stream
from gaussvae_ros.entropy.coder import Meter, Reader, Writer
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import RecordError
from gaussvae_ros.raster import cpu
from gaussvae_ros.record import MAX_SIDE
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, morton_order

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 30.0  # of the processor, for the worst stream
USED = range(112, 145)  # what encoders use lies inside: test_quantise.py sees to it
EVERY_SHAPE = tuple(a.ravel() for a in np.mgrid[: grid.SIZES, : grid.ASPECTS])  # scales, aspects

SIDES = st.one_of(st.integers(1, 1000), st.sampled_from([1, 2, 3, 640, MAX_SIDE - 1, MAX_SIDE]))
SIZES = st.tuples(SIDES, SIDES)


def fields(g: Grid) -> list:
    return [
        g.size,
        g.precision,
        *(a.tolist() for a in (g.cell, g.scale, g.aspect, g.angle, g.shift, g.colour)),
    ]


def decoded(payload: bytes, size) -> Grid:
    """What a reader of a payload gets, before it is turned into splats."""
    count = payload[1] | payload[2] << 8
    reader, channels = Reader(payload[3:]), 1 if count & stream.MONO else 3
    return stream.code(reader, size, count & ~stream.MONO, payload[0], channels, None)


# The coder


@st.composite
def groups(draw):
    """Groups of symbols as formats make them: (values, probabilities), or (values, sizes) where all are as likely."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for n, wide, plain in draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(2, 200), st.booleans()), max_size=8)
    ):
        if plain:
            sizes = rng.integers(1, wide + 1, n)
            made.append((rng.integers(0, sizes), sizes))
        else:
            p = rng.gamma(0.3, 1, (n, wide)) * 10 ** rng.uniform(-3, 3, (n, 1)) + 1e-7
            made.append((np.array([rng.choice(wide, p=row / row.sum()) for row in p], np.int64), p))
    return made


def send(coder, made, values=True):
    for v, law in made:
        yield (coder.symbols if law.ndim == 2 else coder.uniform)(v if values else None, law)


@settings(max_examples=60, deadline=None)
@given(groups())
def test_what_is_written_is_read(made):
    writer, meter = Writer(), Meter()
    for coder in (writer, meter):
        assert all((back == v).all() for back, (v, _) in zip(send(coder, made), made))
    data = writer.finish()
    for back, (v, _) in zip(send(Reader(data), made, values=False), made, strict=True):
        assert back.dtype == np.int64 and back.tolist() == v.tolist()
    bits = sum(meter.bits.values())
    assert (
        bits * 0.99 - 40 <= 8 * len(data) <= bits * 1.01 + 40
    )  # 32 bits that end the stream, less zero bytes


def test_the_meter_weighs_by_part():
    meter = Meter()
    meter.part = "a"
    meter.symbols(np.array([0, 1]), np.array([[1.0, 3.0], [1.0, 1.0]]))
    meter.part = "b"
    meter.uniform(np.array([3, 0]), np.array([8, 1]))
    assert meter.bits == {"a": 3.0, "b": 3.0}


def test_a_long_stream_costs_what_the_meter_says():
    rng = np.random.default_rng(0)
    p = rng.gamma(0.5, 1, (20000, 50)) + 1e-6
    values = (p.cumsum(1) < rng.uniform(0, 1, (20000, 1)) * p.sum(1)[:, None]).sum(1)
    writer, meter = Writer(), Meter()
    writer.symbols(values, p), meter.symbols(values, p)
    assert 8 * len(writer.finish()) == pytest.approx(meter.bits[""], rel=0.002)


def test_a_short_stream_reads_as_if_zeros_followed():
    law = np.ones((50, 7))
    long, short = (
        Reader(b"\x12\x34\x56\x78\x9a" + bytes(zeros)).symbols(None, law) for zeros in (40, 0)
    )
    assert long.tolist() == short.tolist()


class PlainReader:
    """The range decoder as docs/format.md states it, in plain Python."""

    reads, part = True, ""

    def __init__(self, data: bytes):
        self.data, self.lower, self.range = data, 0, 2**64 - 1
        self.code = self.word() << 32 | self.word()

    def word(self) -> int:
        word, self.data = self.data[:4], self.data[4:]
        return int.from_bytes(word.ljust(4, b"\0"), "little")

    def next(self, starts: list[int]) -> int:
        scale = self.range >> 24
        at = (self.code - self.lower) % 2**64 // scale
        symbol = max(k for k, start in enumerate(starts[:-1]) if start <= at)
        self.lower = (self.lower + scale * starts[symbol]) % 2**64
        self.range = scale * (starts[symbol + 1] - starts[symbol])
        if self.range < 2**32:
            self.lower, self.range = (self.lower << 32) % 2**64, self.range << 32
            self.code = (self.code << 32) % 2**64 | self.word()
        return symbol

    def symbols(self, values, probabilities):
        out = []
        for row in probabilities.tolist():
            below = [0.0]
            for p in row:
                below.append(below[-1] + p)
            scale = (2**24 - len(row)) / below[-1]
            out.append(self.next([int(b * scale) + k for k, b in enumerate(below[:-1])] + [2**24]))
        return np.array(out, np.int64)

    def uniform(self, values, sizes):
        starts = [[*(k * (2**24 // size) for k in range(size)), 2**24] for size in sizes.tolist()]
        return np.array([self.next(s) if len(s) > 2 else 0 for s in starts], np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_the_documented_decoder_reads_records(seed):
    g = random_grid(np.random.default_rng(seed), n=300, channels=(3, 1)[seed % 2])
    reader = PlainReader(stream.write(g)[3:])
    assert fields(stream.code(reader, g.size, 300, g.precision, g.colour.shape[1], None)) == fields(
        g
    )


# Cells


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 600), st.integers(0, 2**32 - 1))
@example((MAX_SIDE, 1), 8192, 0)
@example((1, MAX_SIDE), 8192, 0)
@example((1, 1), 8192, 0)
@example((1, 1), 1, 0)
@example((MAX_SIDE, MAX_SIDE), 8192, 0)
@example((MAX_SIDE, MAX_SIDE - 1), 1, 0)
@example((640, 480), 8192, 0)
def test_cells_come_back(size, n, seed):
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.0, 1.0, 20.0])  # all in one corner, anywhere, or in a heap
    xy = rng.uniform(0, 1, (n, 2)) ** spread * size
    xy[0] = rng.integers(0, 2, 2) * size  # a corner of the image
    cell = np.sort(cells.cell_of(xy, size, n))
    writer = Writer()
    assert (cells.code_cells(writer, size, n, cell) == cell).all()
    assert (cells.code_cells(Reader(writer.finish()), size, n, None) == cell).all()


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 8192), st.integers(0, 2**32 - 1))
def test_a_cell_is_in_the_image_and_holds_its_points(size, n, seed):
    xy = np.random.default_rng(seed).uniform(0, 1, (50, 2)) * size
    xy[:4] = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * size
    corner, side = cells.corner(cells.cell_of(xy, size, n), size, n)
    slack = 1e-9 * max(size)
    assert (corner >= 0).all() and (corner < size).all()
    assert (xy >= corner - slack).all() and (xy <= corner + side + slack).all()
    columns = cells.coordinates(cells.cell_of(xy, size, n))
    assert np.array_equal(np.stack(columns, 1), np.round(corner / side))


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 8192))
def test_cells_are_about_half_as_wide_as_splats_are_apart(size, n):
    side = max(size) / 2 ** cells.depth(size, n)
    apart = np.sqrt(size[0] * size[1] / n)
    assert side <= apart / 2 or cells.depth(size, n) == 15
    assert side > apart / 4 or cells.depth(size, n) == 0


def test_cells_of_an_even_spread_cost_little_more_than_their_entropy():
    """n splats among M cells, in no order, are log2(M^n / n!) bits."""
    size, n = (640, 480), 512
    cell = np.sort(cells.cell_of(np.random.default_rng(0).uniform(0, 1, (n, 2)) * size, size, n))
    meter = Meter()
    cells.code_cells(meter, size, n, cell)
    side = max(size) / 2 ** cells.depth(size, n)
    ideal = n * np.log2(size[0] * size[1] / side**2) - np.log2(np.arange(1, n + 1)).sum()
    assert ideal * 0.97 < sum(meter.bits.values()) < ideal * 1.15


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 40), st.integers(1, 40)),
        min_size=1,
        max_size=5,
    )
)
def test_splits_are_beta_binomial(rows):
    m, alpha, beta = (np.array(column) for column in zip(*rows))
    p = cells.beta_binomial(m, alpha, beta)
    for i in range(len(m)):
        expected = np.zeros(p.shape[1])
        expected[: m[i] + 1] = stats.betabinom.pmf(np.arange(m[i] + 1), m[i], alpha[i], beta[i])
        np.testing.assert_allclose(p[i] / p[i].sum(), expected, rtol=1e-8, atol=1e-12)


def test_probabilities_of_the_largest_split_are_finite():
    most = 2 * int(cells.CONCENTRATION.max())
    alpha = np.array([1, most // 2, most - 1])
    p = cells.beta_binomial(np.full(3, stream.MOST_SPLATS), alpha, most - alpha)
    assert np.isfinite(p).all() and (p.sum(1) > 0).all()


# Contexts


def some_cells(seed, n, side):
    """Columns and rows [n] of cells, some of them taken twice."""
    return tuple(np.random.default_rng(seed).integers(0, side, (2, n)))


def pass_of(n) -> np.ndarray:
    out = np.full(n, -1)
    for number, rows in enumerate(contexts.rounds(n)):
        assert (out[rows] == -1).all()
        out[rows] = number
    return out


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100, 513])
def test_every_splat_has_its_round(n):
    assert len(contexts.rounds(n)) == contexts.PASSES
    assert (pass_of(n) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 150), st.sampled_from([1, 3, 40, 1 << 15]))
def test_neighbours_are_the_nearest(seed, n, side):
    x, y = some_cells(seed, n, side)
    distance = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    np.fill_diagonal(distance, 1 << 40)
    later = pass_of(n)[None] >= pass_of(n)[:, None]
    expected = [_first(np.where(later, 1 << 40, distance)), _first(distance)]
    assert [a.tolist() for a in contexts.neighbours(x, y)] == expected


def _first(distance):
    """The nearest of each row, the first of equals; -1 where there is none."""
    order = np.argsort(distance, 1, kind="stable")[:, : contexts.NEAR]
    order = np.where(np.take_along_axis(distance, order, 1) < 1 << 40, order, -1)
    return np.pad(order, ((0, 0), (0, contexts.NEAR - order.shape[1])), constant_values=-1).tolist()


@pytest.mark.parametrize("n", [2, 60])
def test_features_are_weighted_means_and_spreads(n):
    x, y = some_cells(n, n, 9)
    rng = np.random.default_rng(0)
    values, extra, rows = rng.normal(0, 1, n), rng.normal(0, 1, (n, 2)), contexts.rounds(n)[4]
    known, around = contexts.neighbours(x, y)
    out = contexts.features(rows, values, extra, known, x, y)
    for r, i in enumerate(rows):
        near = known[i][known[i] >= 0]
        w = 1 / ((x[near] - x[i]) ** 2 + (y[near] - y[i]) ** 2 + 0.5)
        mean = np.average(values[near], weights=w) if len(near) else 0.0
        spread = np.average(abs(values[near] - mean), weights=w) if len(near) else 0.0
        np.testing.assert_allclose(out[r], [1, mean, spread, *extra[i]], rtol=1e-12, atol=1e-12)
    expected = [
        np.hypot(x[a[a >= 0]] - x[i], y[a[a >= 0]] - y[i]).sum() / contexts.NEAR
        for i, a in enumerate(around)
    ]
    np.testing.assert_allclose(contexts.spacing(x, y, around), expected, rtol=1e-12)


def test_student_is_students_distribution():
    """Three degrees of freedom: t = sqrt(3) (v - m) / s."""
    rng = np.random.default_rng(0)
    features, step = rng.normal(0, 1, (30, 4)), rng.uniform(0.1, 2, 30)
    centre, width = rng.normal(0, 2, 4), np.abs(rng.normal(0, 2, 4))
    p = contexts.student(features, centre, width, step, -20, 41)
    m, s = features @ centre, np.maximum(features @ width, 0.33 * step)
    expected = stats.t.pdf(
        np.sqrt(3) * (np.arange(-20, 21) * step[:, None] - m[:, None]) / s[:, None], 3
    )
    np.testing.assert_allclose(p, expected / stats.t.pdf(0, 3) + 1e-6, rtol=1e-9)


def test_directions_by_hand():
    """A splat whose neighbours left and right have its colour, and whose neighbours above and below do not."""
    x, y = np.array([5, 4, 6, 5, 5]), np.array([5, 5, 5, 4, 6])
    colour = np.array([[0.0], [0.0], [0.0], [1.0], [-1.0]])
    cosine, sine, strength = (
        np.array(v, float) for v in ([0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [9, 3, 1, 0, 0])
    )
    known = around = np.array([[1, 2, 3, 4]] + [[-1] * 4] * 4)
    out = contexts.directions(np.array([0, 1]), cosine, sine, strength, colour, known, around, x, y)
    np.testing.assert_allclose(out[0], [0.75, 0.25, 1, 0], atol=1e-6)  # along x: double angle 0
    assert not out[1].any()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80))
def test_directions_are_never_longer_than_one(seed, n):
    rng = np.random.default_rng(seed)
    x, y = some_cells(seed, n, 12)
    turn, colour = rng.uniform(0, 2 * np.pi, n), rng.normal(0, 1, (n, 3)) * rng.integers(0, 2)
    args = (
        np.cos(turn),
        np.sin(turn),
        rng.uniform(0, 5, n) * rng.integers(0, 2),
        colour,
        *contexts.neighbours(x, y),
    )
    out = contexts.directions(np.arange(n), *args, x, y)
    assert (np.hypot(out[:, 0], out[:, 1]) < 1 + 1e-9).all() and (
        np.hypot(out[:, 2], out[:, 3]) < 1 + 1e-9
    ).all()


def test_axial_is_its_formula():
    rng = np.random.default_rng(0)
    guesses, counts = rng.uniform(-0.5, 0.5, (20, 4)), rng.integers(1, grid.SECTORS + 1, 20)
    weights = np.array([0.7, 0.3, 0.2])
    p = contexts.axial(guesses, counts, weights, *prior.axes(), grid.SECTORS)
    for row, count, guess in zip(p, counts, guesses):
        turn = 2 * np.pi * (np.arange(count) + 0.5) / count
        v = 0.7 * guess[:2] + 0.3 * guess[2:]
        np.testing.assert_allclose(
            row[:count], (1.2 - np.cos(turn) * v[0] - np.sin(turn) * v[1]) ** -2, rtol=1e-4
        )
        assert not row[count:].any()


def test_a_strong_pull_on_an_angle_is_no_certainty():
    """Weights whose guesses would point beyond the circle still leave every angle a probability, as in training."""
    guesses, counts = np.array([[1.0, 0, 1, 0], [-1, 0, -1, 0]]), np.array([grid.SECTORS, 5])
    p = contexts.axial(guesses, counts, np.array([1.5, 0.5, 0.1]), *prior.axes(), grid.SECTORS)
    assert np.isfinite(p).all() and (p[0] > 0).all() and (p[1, :5] > 0).all() and p[0].argmax() == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_shipped_weights_give_probabilities_for_any_context(seed):
    """Finite, not negative, and some of each row above zero: else the coder refuses them."""
    rng = np.random.default_rng(seed)
    law, big = prior.load(), 10 ** rng.uniform(-3, 6)
    for later in (False, True):
        turn = rng.uniform(0, 2 * np.pi, (9, 2))
        guesses = np.column_stack(
            [f(turn[:, k]) for k in (0, 1) for f in (np.cos, np.sin)]
        ) * rng.uniform(0, 1)
        made = [law.angle(later, guesses, rng.integers(1, grid.SECTORS + 1, 9))]
        for kind in prior.LINEAR:
            features = rng.normal(0, big, (9, len(law.weights[kind][later][0])))
            made.append(law.linear(kind, later, features, 10 ** rng.uniform(-3, 6, 9), -64, 128))
        assert all(np.isfinite(p).all() and (p >= 0).all() and (p.sum(1) > 0).all() for p in made)


# Other machines


DIGEST = """if True:
    import hashlib, sys
    import numpy as np
    sys.path.insert(0, "test")
    from test_entropy import decoded, fields, random_grid
    from gaussvae_ros.entropy import stream
    from gaussvae_ros.errors import RecordError
    digest, rng = hashlib.sha256(), np.random.default_rng(5)
    for size, n, channels in (((640, 480), 512, 3), ((97, 333), 70, 1), ((65535, 2), 40, 3)):
        digest.update(stream.write(random_grid(rng, size, n, 124 + n % 8, channels)))
    for _ in range(9):  # what random bytes say, be it an error
        try:
            said = fields(decoded(bytes([128, 100, 0]) + rng.bytes(700), (640, 480)))
        except RecordError as error:
            said = error
        digest.update(str(said).encode())
    print(digest.hexdigest())
"""


def digest(**environment) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIGEST],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_machine_changes_no_bit(tmp_path):
    """One thread, code compiled anew for a processor without vector units, and numpy's plain functions."""
    plain = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    plain["NPY_DISABLE_CPU_FEATURES"] = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"
    assert digest(NUMBA_NUM_THREADS="1", **plain) == digest()
    assert any(tmp_path.rglob("*.nbc"))


def test_the_angles_of_every_shape_are_far_from_where_rounding_turns():
    """sinh may differ between machines in its last bits; the number of angles must not."""
    for precision in range(
        121, 137
    ):  # two octaves: others differ by powers of two, which are exact
        k = grid.shape_step(EVERY_SHAPE[0], precision)
        count = 2 * np.pi / grid.ANGLE_STEP * np.sinh(EVERY_SHAPE[1] * k * grid.ASPECT_STEP) / k
        rounded = count[count < grid.SECTORS * grid.FINE + 1]
        assert np.abs(rounded % 1 - 0.5).min() > 1e-9


def test_the_table_of_axes_is_far_from_where_rounding_turns():
    turn = 2 * np.pi * (np.arange(grid.SECTORS) + 0.5) / np.arange(1, grid.SECTORS + 1)[:, None]
    for f in (np.cos, np.sin):
        assert np.abs(f(turn) * 2**20 % 1 - 0.5).min() > 1e-7
    for table, f in zip(prior.axes(), (np.cos, np.sin), strict=True):
        assert (table * 2**20 % 1 == 0).all()
        np.testing.assert_allclose(table[1:], f(turn), atol=2**-21 + 1e-12)


# The grid


def test_precisions_are_eighths_of_octaves():
    np.testing.assert_allclose(
        [grid.factor(p) for p in range(256)], 2 ** ((np.arange(256) - 128) / 8), rtol=1e-15
    )
    assert [grid.factor(p) for p in (112, 120, 128, 136, 144)] == [0.25, 0.5, 1, 2, 4]


@pytest.mark.parametrize("precision", [USED[0], 128, USED[-1]])
def test_the_nearest_size_is_found(precision):
    scale = np.arange(grid.SIZES)
    log_size = grid.log_size(scale, (640, 480), precision)
    assert (np.diff(log_size) > 0).all()
    unit = grid.unit((640, 480), 500) - grid.unit((640, 480), len(scale))
    assert (grid.scale_index(log_size + unit, (640, 480), 500, precision) == scale).all()
    assert grid.scale_index(np.array([-100.0, 100.0]), (640, 480), 500, precision).tolist() == [
        0,
        grid.SIZES - 1,
    ]


@pytest.mark.parametrize("precision", [0, *USED[::5], 255])
def test_the_nearest_angle_is_found(precision):
    scale, aspect = EVERY_SHAPE
    sectors, fine = grid.angles(scale, aspect, precision)
    assert (
        sectors.min() >= 1
        and sectors.max() <= grid.SECTORS
        and fine.min() >= 1
        and fine.max() <= grid.FINE
    )
    assert (sectors[aspect == 0] == 1).all() and (fine[aspect == 0] == 1).all()
    theta = np.random.default_rng(precision).uniform(0, np.pi, len(scale))
    theta[:3] = 0, np.nextafter(np.pi, 0), np.pi
    index = grid.angle_index(theta, scale, aspect, precision)
    assert (index >= 0).all() and (index < sectors * fine).all()
    back = grid.theta(scale, aspect, index, precision)
    away = np.abs((back - theta + np.pi / 2) % np.pi - np.pi / 2)
    assert (back < np.pi).all() and (away <= np.pi / (sectors * fine) / 2 + 1e-12).all()
    assert (grid.angle_index(back, scale, aspect, precision) == index).all()


def test_a_thin_splat_has_fine_angles():
    """Where neither limit is reached, a step turns a splat by no more than the law of the docstring allows."""
    scale, aspect = EVERY_SHAPE
    k = grid.shape_step(scale, 128)
    count = np.multiply(*grid.angles(scale, aspect, 128))
    moved = 2 * np.sinh(aspect * k * grid.ASPECT_STEP) * np.pi / count
    free = (count > 1) & (count < grid.SECTORS * grid.FINE)
    assert (moved[free] <= grid.ANGLE_STEP * k[free] * 1.5).all()


@settings(max_examples=60, deadline=None)
@given(
    SIZES,
    st.integers(1, 300),
    st.sampled_from([0, *USED, 255]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_what_a_record_says_is_finite_and_canonical(size, n, precision, channels, seed):
    g = random_grid(np.random.default_rng(seed), size, n, precision, channels)
    splats = grid.to_splats(g)
    p = splats.params
    assert splats.size == size and p.shape == (n, 5 + channels) and p.dtype == np.float32
    assert np.isfinite(p).all() and np.isfinite(grid.geometry(g)).all()
    assert (
        (p[:, LOG_S1] >= p[:, LOG_S2]).all()
        and (p[:, THETA] >= 0).all()
        and (p[:, THETA] < np.pi).all()
    )
    assert np.array_equal(p, splats.canonical().params)
    corner, side = cells.corner(g.cell, size, n)
    xy = grid.geometry(g)[:, :2]
    assert (xy >= corner - 1e-9 * max(size)).all() and (xy <= corner + side * (1 + 1e-9)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300), st.sampled_from(USED), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1)
)
def test_geometry_is_that_of_the_splats(n, precision, channels, seed):
    """The encoder's view of a grid and the decoder's are the same splats, up to the rounding of float32."""
    g = random_grid(np.random.default_rng(seed), (640, 480), n, precision, channels)
    g.aspect = np.minimum(g.aspect, 6)  # thinner ones turn a rounding of theta into a large shear
    g.angle %= np.multiply(*grid.angles(g.scale, g.aspect, precision))
    g.shift %= grid.shifts(
        g.scale, grid.shape(g.scale, g.aspect, g.angle, g.size, precision), g.size, precision
    )
    splats, placed = grid.to_splats(g), grid.geometry(g)
    order = morton_order(placed[:, :2].astype(np.float32), g.size)
    drawn, colour = cpu.split(splats.params)
    thin = np.exp(splats.params[:, LOG_S1] - splats.params[:, LOG_S2]).max() ** 2
    np.testing.assert_allclose(drawn, placed[order], rtol=1e-5 * thin, atol=1e-5 * thin)
    expected = (
        0.5
        + (g.colour * grid.colour_step(g.scale, precision)[:, None])[order]
        @ grid.OPPONENT[:channels]
    )
    np.testing.assert_allclose(colour, expected, rtol=1e-5, atol=1e-5)


def test_mono_is_the_light_of_colour():
    g = random_grid(np.random.default_rng(0), n=50)
    g.colour[:, 1:] = 0
    grey = Grid(g.size, g.precision, g.cell, g.scale, g.aspect, g.angle, g.shift, g.colour[:, :1])
    rgb, mono = grid.to_splats(g).params, grid.to_splats(grey).params
    for channel in (5, 6, 7):
        np.testing.assert_allclose(rgb[:, channel], mono[:, 5], rtol=1e-6)


# The stream


@settings(max_examples=60, deadline=None)
@given(
    SIZES,
    st.integers(1, 200),
    st.sampled_from([0, *USED, 255]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
@example((MAX_SIDE, 1), 64, 128, 3, 0)
@example((1, 1), 1, 128, 1, 0)
def test_a_record_holds_its_grid(size, n, precision, channels, seed):
    g = random_grid(np.random.default_rng(seed), size, n, precision, channels)
    payload = stream.write(g)
    assert fields(decoded(payload, size)) == fields(g)
    splats = stream.read(payload, size)
    assert splats.size == size and np.array_equal(splats.params, grid.to_splats(g).params)


def test_the_largest_record_comes_back():
    g = random_grid(np.random.default_rng(0), (3840, 2160), stream.MOST_SPLATS)
    assert fields(decoded(stream.write(g), g.size)) == fields(g)


def test_the_header():
    g = random_grid(np.random.default_rng(0), n=300, precision=140)
    assert stream.write(g)[:3] == bytes([140, 300 & 255, 300 >> 8])
    g.colour = g.colour[:, :1]
    assert stream.write(g)[:3] == bytes([140, 300 & 255, 300 >> 8 | 0x80])


def test_the_meter_weighs_what_the_writer_writes():
    for seed, channels in ((0, 3), (1, 1)):
        g, meter = random_grid(np.random.default_rng(seed), n=512, channels=channels), Meter()
        assert stream.code(meter, g.size, 512, g.precision, channels, g).cell is not None
        colours = {f"colour{k}" for k in range(channels)}
        assert meter.bits.keys() == {"cells", "scale", "aspect", "angle", "shifts"} | colours
        assert 8 * (len(stream.write(g)) - 3) == pytest.approx(sum(meter.bits.values()), rel=0.01)


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\x10"])
def test_a_payload_without_a_header(payload):
    with pytest.raises(RecordError, match="header"):
        stream.read(payload, (640, 480))


@pytest.mark.parametrize("count", [0, 0x8000, 0x2001, 0x7FFF, 0xFFFF])
def test_a_number_of_splats_that_cannot_be(count):
    with pytest.raises(RecordError, match="splats"):
        stream.read(b"\x80" + count.to_bytes(2, "little") + bytes(100), (640, 480))


@pytest.mark.parametrize("part, text", [("cells", "positions"), ("angle", "angles")])
def test_symbols_that_have_no_probability(part, text):
    """The coder leaves a sliver to each symbol of a table, also to those beyond the end of a row."""

    class Liar(Reader):
        def symbols(self, values, probabilities):
            right = super().symbols(values, probabilities)
            impossible = (probabilities[:, -1] == 0) & (self.part == part)
            return np.where(impossible, probabilities.shape[1] - 1, right)

    g = random_grid(np.random.default_rng(0))
    with pytest.raises(RecordError, match=text):
        stream.code(Liar(stream.write(g)[3:]), g.size, len(g.cell), g.precision, 3, None)


@settings(max_examples=150, deadline=None)
@given(SIZES, st.integers(0, 255), st.integers(1, 600), st.booleans(), st.binary(max_size=1500))
def test_any_bytes_are_splats_or_an_error(size, precision, n, mono, body):
    count = n | stream.MONO * mono
    _read(bytes([precision]) + count.to_bytes(2, "little") + body, size)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 255), SIZES)
def test_altered_records_are_splats_or_an_error(seed, precision, size):
    rng = np.random.default_rng(seed)
    payload = bytearray(stream.write(random_grid(rng, (640, 480), 100, precision)))
    payload[rng.integers(3, len(payload))] ^= 1 << rng.integers(8)
    _read(bytes(payload), size)


def _read(payload, size):
    begun = time.process_time()
    try:
        p = stream.read(payload, size).params
        assert (
            np.isfinite(p).all() and np.isfinite(np.exp(p[:, [LOG_S1, LOG_S2]], dtype=float)).all()
        )
    except RecordError as error:
        assert str(error) and "\n" not in str(error)
    assert time.process_time() - begun < MOST_SECONDS


@pytest.mark.parametrize(
    "size", [(1, 1), (MAX_SIDE, 1), (1, MAX_SIDE), (MAX_SIDE, MAX_SIDE), (640, 480)]
)
def test_time_and_memory_are_bounded(size):
    """The most splats that a record can claim; streams that heap them in one place, spread them, or are noise."""
    noise = np.random.default_rng(0).bytes(30000)
    tracemalloc.start()
    for body in (b"", b"\xff" * 30000, noise):
        for precision in (0, 128, 255):
            _read(bytes([precision, 0, 0x20]) + body, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20
