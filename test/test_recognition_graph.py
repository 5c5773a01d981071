"""The graph of a frame's splats, and what its nodes gather."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.recognition import convolution
from gaussvae_ros.recognition.graph import EDGE, NEIGHBOURS, NODE, graph
from gaussvae_ros.splats import Splats


def splats(seed: int, count: int = 40, channels: int = 3, size=(64, 48)) -> Splats:
    rng = np.random.default_rng(seed)
    params = np.empty((count, 5 + channels), np.float32)
    params[:, :2] = rng.uniform(0, 1, (count, 2)) * size
    params[:, 2] = rng.uniform(1, 2, count)
    params[:, 3] = params[:, 2] - rng.uniform(0, 1, count)
    params[:, 4] = rng.uniform(0, np.pi, count)
    params[:, 5:] = rng.uniform(0, 1, (count, channels))
    return Splats(params, size)


def test_neighbours_are_the_nearest_and_nearest_first():
    made = graph([splats(0)])
    places = splats(0).params[:, :2].astype(float)
    away = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(away, np.inf)
    assert np.array_equal(made.neighbours, np.argsort(away, axis=1)[:, :NEIGHBOURS])


def test_frames_in_one_graph_are_as_each_alone():
    frames = [splats(1), splats(2, 33), splats(3, 50, channels=1)]
    together, at = graph(frames), 0
    assert list(together.starts) == [0, 40, 73, 123]
    for frame in frames:
        alone, part = graph([frame]), slice(at, at + len(frame))
        assert np.array_equal(together.nodes[part], alone.nodes)
        assert np.array_equal(together.edges[part], alone.edges)
        assert np.array_equal(together.neighbours[part] - at, alone.neighbours)
        at += len(frame)
    assert together.nodes.shape == (123, NODE) and together.edges.shape[1:] == (NEIGHBOURS, EDGE)


def test_the_same_picture_at_another_size_has_the_same_graph():
    small = splats(4)
    params = small.params.copy()
    params[:, :2] *= 4
    params[:, 2:4] += np.log(4)
    one, other = graph([small]), graph([Splats(params, (256, 192))])
    assert np.allclose(one.nodes, other.nodes, atol=1e-5)
    assert np.allclose(one.edges, other.edges, atol=1e-4)


def test_edges_know_no_place_and_no_half_turn():
    here = splats(5)
    params = here.params.copy()
    params[:, 0] += 7
    params[::2, 4] += np.pi
    one, other = graph([here]), graph([Splats(params, here.size)])
    assert np.array_equal(one.neighbours, other.neighbours)
    assert np.allclose(one.edges, other.edges, atol=1e-4)
    assert np.allclose(one.nodes[:, 1:], other.nodes[:, 1:], atol=1e-5)


def test_whatever_a_record_can_hold_gives_finite_numbers():
    wild = splats(6)
    wild.params[0, 2:4] = 15, -10  # a hair across everything
    wild.params[1, :2] = -1e4
    wild.params[2, 5:] = 1e3
    wild.params[3, :2] = wild.params[4, :2]
    made = graph([wild])
    assert np.isfinite(made.nodes).all() and np.isfinite(made.edges).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 6), st.integers(1, 33))
def test_what_is_gathered_is_the_sum_that_the_text_says(count, near, bases, width):
    rng = np.random.default_rng(count)
    values = rng.normal(size=(count, width)).astype(np.float32)
    weights = rng.normal(size=(count, near, bases)).astype(np.float32)
    rows = rng.integers(0, count, (count, near)).astype(np.int32)
    wanted = np.einsum("nkb,nkc->nbc", weights, values[rows]) / near
    assert np.allclose(convolution.gather(values, weights, rows), wanted, atol=1e-4)


def test_slopes_are_those_of_autograd():
    torch = pytest.importorskip("torch")
    from gaussvae_ros.training.graph_network import Gather

    rng = np.random.default_rng(0)
    values = torch.tensor(rng.normal(size=(20, 8)), dtype=torch.float32, requires_grad=True)
    weights = torch.tensor(rng.normal(size=(20, 5, 3)), dtype=torch.float32, requires_grad=True)
    rows = torch.tensor(rng.integers(0, 20, (20, 5)).astype(np.int32))
    toward = torch.tensor(rng.normal(size=(20, 3, 8)), dtype=torch.float32)
    found = []
    for gathered in (
        Gather.apply(values, weights, rows),
        torch.einsum("nkb,nkc->nbc", weights, values[rows.long()]) / 5,
    ):
        found.append(torch.autograd.grad((gathered * toward).sum(), (values, weights)))
    for ours, theirs in zip(*found):
        assert torch.allclose(ours, theirs, atol=1e-5)
