"""The coder and the cells of splats, each against something independent of it."""

import numpy as np
import pytest
from grids import IMAGES, fields, random_grid
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from gaussvae_ros.entropy import cells, stream
from gaussvae_ros.entropy.coder import Meter, Reader, Writer
from gaussvae_ros.record import MAX_SIDE


@st.composite
def groups(draw):
    """Groups of symbols: (values, probabilities), or (values, sizes) where all are as likely."""
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
@given(IMAGES, st.integers(1, 600), st.integers(0, 2**32 - 1))
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
@given(IMAGES, st.integers(1, 8192), st.integers(0, 2**32 - 1))
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
@given(IMAGES, st.integers(1, 8192))
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
