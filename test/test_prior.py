"""The learned prior: splats come back under any networks, bit for bit, and damage is named."""

import hashlib
import time

import numpy as np
import pytest
import torch
from fits import scene
from grids import IMAGES, fields, random_grid
from hypothesis import example, given, settings
from hypothesis import strategies as st
from priors import random_prior, read

from gaussvae_ros.codec import DEFAULT_MODEL
from gaussvae_ros.entropy import cells, grid
from gaussvae_ros.entropy.coder import Reader
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import ModelError, RecordError
from gaussvae_ros.vae import contexts
from gaussvae_ros.vae.contexts import KINDS, MOST, ONE, SHIFT
from gaussvae_ros.vae.encoder import encode
from gaussvae_ros.vae.models import Models
from gaussvae_ros.vae.networks import GAIN
from gaussvae_ros.vae.prior import Prior, code

MOST_SECONDS = 60.0  # for the worst stream, of the processor
# SHA-256 of `some_grid(7)` under `random_prior(7)`
FROZEN = "dc30b2891247353c5eac0d81867df89b54e4b040542a237849e9d3e19616361e"


def some_grid(seed: int, size=(640, 480), n=40, precision=130, channels=3) -> Grid:
    return random_grid(np.random.default_rng(seed), size, n, precision, channels)


@pytest.fixture(scope="module")
def prior():
    return random_prior(0)


# Round trips


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    IMAGES,
    st.integers(1, 200),
    st.integers(0, 255),
    st.sampled_from([1, 3]),
)
@example(1, (640, 480), 2048, 128, 3)
@example(2, (1, 700), 300, 120, 1)
@example(3, (65535, 1), 300, 139, 3)
@example(4, (1, 1), 32, 128, 3)
def test_what_is_written_is_read(seed, size, n, precision, channels):
    prior = random_prior(seed % 5)
    g = some_grid(seed, size, n, precision, channels)
    data = prior.write(g)
    assert fields(read(prior, data, g)) == fields(g)
    bits = prior.bits(g)
    assert 8 * len(data) == pytest.approx(sum(bits.values()), rel=0.01, abs=40)
    assert list(bits) == ["cells", *KINDS[: 1 + channels], "aspect", "angle", "shifts"]


def test_the_most_splats_come_back(prior):
    g = some_grid(0, (3840, 2160), 8192, 126)
    assert fields(read(prior, prior.write(g), g)) == fields(g)


def test_all_splats_in_one_cell_come_back(prior):
    g = some_grid(0, n=300)
    g.cell[:] = g.cell[5]
    assert fields(read(prior, prior.write(g), g)) == fields(g)


def test_tensors_bring_the_prior_back(prior):
    g = some_grid(1)
    tensors = prior.tensors()
    assert {a.dtype.name for a in tensors.values()} == {"int16", "int32"}
    assert len(tensors) == 8 * len(KINDS)
    again = Prior.from_tensors(tensors)
    assert again.write(g) == prior.write(g)
    assert all((again.tensors()[name] == array).all() for name, array in tensors.items())


def test_the_format_is_frozen():
    data = random_prior(7).write(some_grid(7))
    assert hashlib.sha256(data).hexdigest() == FROZEN


def test_the_prior_that_ships_is_shorter_than_random_ones():
    """On splats that a picture was fitted with: nothing is known of random ones."""
    g, prior = encode(scene(), 64, "fast", None), Models().load(DEFAULT_MODEL).prior
    assert fields(read(prior, prior.write(g), g)) == fields(g)
    assert len(prior.write(g)) < min(len(random_prior(k).write(g)) for k in range(3))


# Exactness


def by_matmul(prior: Prior, kind: str, rows: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """The network of a kind again, by torch's products of matrices of `dtype`."""
    tensors = prior.tensors()
    mean, gain = (tensors[f"{kind}_{name}"] / GAIN for name in ("mean", "gain"))
    z = (rows - mean) * gain
    x = torch.from_numpy(np.floor(z / (1 + np.abs(z) / 8) * ONE + 0.5)).to(dtype)
    for layer in range(3):
        weight, bias = (
            torch.from_numpy(tensors[f"{kind}_{what}{layer}"]).to(dtype)
            for what in ("weight", "bias")
        )
        x = torch.floor((x @ weight + bias) / 2**SHIFT + 0.5)
        x = torch.clamp(x, 0 if layer < 2 else -MOST, MOST)
    return x.numpy().astype(np.int32)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_are_exact_in_any_type_thread_count_and_batch(kind, prior):
    rng = np.random.default_rng(KINDS.index(kind))
    rows = rng.standard_cauchy((97, contexts.feature_count(KINDS.index(kind))))
    outputs = prior.outputs(kind, rows)
    assert outputs.std(0).min() > 5 and (np.abs(outputs) < MOST).mean() > 0.4
    before = torch.get_num_threads()
    for dtype in (torch.float32, torch.float64):
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for batch in (1, 32, 97):
                parts = [
                    by_matmul(prior, kind, rows[i : i + batch], dtype)
                    for i in range(0, len(rows), batch)
                ]
                assert (np.concatenate(parts) == outputs).all()
    torch.set_num_threads(before)


def test_a_splat_at_a_time_gives_the_same_bytes(prior, monkeypatch):
    g = some_grid(2)
    data, plain = prior.write(g), Prior.outputs

    def singly(self, kind, rows):
        made = [plain(self, kind, rows[i : i + 1]) for i in range(len(rows))]
        return np.concatenate(made) if made else plain(self, kind, rows)

    monkeypatch.setattr(Prior, "outputs", singly)
    assert prior.write(g) == data
    assert fields(read(prior, data, g)) == fields(g)


# Damage


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_damage_is_named_or_gives_splats(data):
    prior = random_prior(data.draw(st.integers(0, 2)))
    g = some_grid(data.draw(st.integers(0, 3)), n=data.draw(st.sampled_from([1, 17, 64])))
    stream = bytearray(prior.write(g))
    if data.draw(st.booleans()):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    stream = bytes(stream[: data.draw(st.integers(0, len(stream)))])
    precision = data.draw(st.sampled_from([g.precision, 0, 255]))
    _check(prior, stream, data.draw(IMAGES), len(g.cell), precision)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 3), st.binary(max_size=600), IMAGES, st.integers(1, 300), st.integers(0, 255))
def test_any_bytes_give_splats_or_an_error(seed, stream, size, n, precision):
    _check(random_prior(seed), stream, size, n, precision)


@pytest.mark.parametrize("size", [(1, 1), (65535, 1), (65535, 65535), (640, 480)], ids=str)
def test_the_worst_streams_take_bounded_time(size, prior):
    """The most splats, heaped in one place, spread, or noise; of any precision."""
    noise = np.random.default_rng(0).bytes(30000)
    for body, precision in ((b"", 128), (b"\xff" * 30000, 0), (noise, 255), (noise, 128)):
        _check(prior, body, size, 8192, precision)


def _check(prior: Prior, stream: bytes, size: tuple[int, int], n: int, precision: int) -> None:
    begun = time.process_time()
    try:
        made = prior.read(stream, size, n, precision, 3)
        assert np.isfinite(grid.to_splats(made).params).all()
        parts = grid.shape(made.scale, made.aspect, made.angle, size, precision)
        assert (made.shift < grid.shifts(made.scale, parts, size, precision)).all()
        assert (np.diff(made.cell) >= 0).all()
        assert (cells.corner(made.cell, size, n)[0] < size).all()
    except RecordError as error:
        assert "damaged" in str(error) and "\n" not in str(error)
    assert time.process_time() - begun < MOST_SECONDS


@pytest.mark.parametrize("part, text", [("cells", "positions"), ("angle", "angles")])
def test_symbols_that_have_no_probability(part, text, prior):
    """The coder leaves a sliver to each symbol of a table, also beyond the end of a row."""

    class Liar(Reader):
        def symbols(self, values, probabilities):
            right = super().symbols(values, probabilities)
            impossible = (probabilities[:, -1] == 0) & (self.part == part)
            return np.where(impossible, probabilities.shape[1] - 1, right)

    g = some_grid(0, n=100)
    with pytest.raises(RecordError, match=text):
        code(Liar(prior.write(g)), prior, g.size, len(g.cell), g.precision, 3, None)


def test_a_prior_of_another_shape_or_with_large_sums_is_refused(prior):
    tensors = prior.tensors()
    for missing in ("angle_bias2", "colour1_mean", "aspect_weight0"):
        with pytest.raises(ModelError, match=missing.partition("_")[0]):
            Prior.from_tensors({name: a for name, a in tensors.items() if name != missing})
    for kind in ("scale", "angle"):
        weight = tensors[f"{kind}_weight0"]
        for name, array in (
            (f"{kind}_weight1", tensors[f"{kind}_weight1"][:, :-1]),
            (f"{kind}_weight0", np.full_like(weight, -(2**15))),
            (f"{kind}_weight0", weight.astype(float)),
        ):
            with pytest.raises(ModelError, match=kind):
                Prior.from_tensors({**tensors, name: array})
