"""The graph of a frame's splats, and what its nodes gather."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.recognition import convolution
from gaussvae_ros.recognition.graph import EDGE, FEWEST, NEIGHBOURS, NODE, graph
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
    assert np.array_equal(made.levels[0].neighbours, np.argsort(away, axis=1)[:, :NEIGHBOURS])


def test_frames_in_one_graph_are_as_each_alone():
    frames = [splats(1), splats(2, 33), splats(3, 50, channels=1)]
    together = graph(frames)
    assert list(together.levels[0].starts) == [0, 40, 73, 123]
    assert list(together.levels[1].starts) == [0, 10, 19, 32]
    assert together.nodes.shape == (123, NODE)
    for number, frame in enumerate(frames):
        alone = graph([frame])
        for level, own in zip(together.levels, alone.levels):
            at = level.starts[number]
            part = slice(at, level.starts[number + 1])
            assert np.array_equal(level.edges[part], own.edges)
            assert np.array_equal(level.neighbours[part] - at, own.neighbours)
            assert own.edges.shape[1:] == (NEIGHBOURS, EDGE)
        part = slice(*together.levels[0].starts[number : number + 2])
        assert np.array_equal(together.nodes[part], alone.nodes)
        rows = together.levels[1].members[slice(*together.levels[1].starts[number : number + 2])]
        assert np.array_equal(rows - part.start, alone.levels[1].members)


@pytest.mark.parametrize("count", [FEWEST, 6, 32, 33, 200])
def test_each_splat_is_in_one_group_also_where_they_are_few(count):
    made = graph([splats(0, count)])
    members = made.levels[1].members
    assert np.array_equal(np.unique(members), np.arange(count)) and len(members) == -(-count // 4)
    for level in made.levels:
        rows = np.arange(len(level.neighbours))
        assert (level.neighbours != rows[:, None]).all() and level.neighbours.max() <= rows[-1]


def test_the_same_picture_at_another_size_has_the_same_graph():
    small = splats(4)
    params = small.params.copy()
    params[:, :2] *= 4
    params[:, 2:4] += np.log(4)
    one, other = graph([small]), graph([Splats(params, (256, 192))])
    assert np.allclose(one.nodes, other.nodes, atol=1e-5)
    for here, there in zip(one.levels, other.levels):
        assert np.allclose(here.edges, there.edges, atol=1e-4)


def test_edges_know_no_place_and_no_half_turn():
    here = splats(5)
    params = here.params.copy()
    params[:, 0] += 7
    params[::2, 4] += np.pi
    one, other = graph([here]), graph([Splats(params, here.size)])
    for ours, theirs in zip(one.levels, other.levels):
        assert np.array_equal(ours.neighbours, theirs.neighbours)
        assert np.allclose(ours.edges, theirs.edges, atol=1e-4)
    assert np.allclose(one.nodes[:, 1:], other.nodes[:, 1:], atol=1e-5)


def test_whatever_a_record_can_hold_gives_finite_numbers():
    wild = splats(6)
    wild.params[0, 2:4] = 15, -10  # a hair across everything
    wild.params[1, :2] = -1e4
    wild.params[2, 5:] = 1e3
    wild.params[3, :2] = wild.params[4, :2]
    made = graph([wild])
    assert np.isfinite(made.nodes).all()
    assert all(np.isfinite(level.edges).all() for level in made.levels)


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
