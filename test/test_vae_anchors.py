"""The anchors model: geometry in a splat's own frame, merging, splitting, the steps of a record."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gaussvae_ros.training  # noqa: F401  (before torch's threads start)
from gaussvae_ros.entropy import grid
from gaussvae_ros.raster.cpu import forward
from gaussvae_ros.splats import Splats
from gaussvae_ros.training import anchors as module
from gaussvae_ros.training.anchors import Anchors, parts_of, steps
from gaussvae_ros.training.frames import axes, covariance, describe, merge, move, nearest, relate
from gaussvae_ros.training.model import Batch
from gaussvae_ros.training.models import load, save

SIZE = (320, 240)


def splats(n=64, seed=0, batch=1, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    p = np.empty((batch, n, 8))
    p[..., 0], p[..., 1] = rng.uniform(0, SIZE[0], (batch, n)), rng.uniform(0, SIZE[1], (batch, n))
    p[..., 2] = rng.uniform(2, 3.5, (batch, n))
    p[..., 3] = p[..., 2] - rng.uniform(0.05, 1.5, (batch, n))
    p[..., 4], p[..., 5:] = rng.uniform(0, math.pi, (batch, n)), rng.random((batch, n, 3))
    return torch.from_numpy(
        np.stack([Splats(one.astype(np.float32), SIZE).canonical().params for one in p])
    ).to(dtype)


def matrices(p):  # [N, 8] -> [N, 2, 2]
    turn = np.stack(
        [np.cos(p[:, 4]), -np.sin(p[:, 4]), np.sin(p[:, 4]), np.cos(p[:, 4])], 1
    ).reshape(-1, 2, 2)
    return (
        turn @ np.einsum("nk,kl->nkl", np.exp(2 * p[:, 2:4]), np.eye(2)) @ turn.transpose(0, 2, 1)
    )


def test_axes_give_the_covariance_back():
    p = splats()[0]
    back = axes(*covariance(p))
    assert torch.allclose(back[:, :2], p[:, 2:4], atol=1e-4)
    assert torch.allclose(
        torch.sin(back[:, 2] - p[:, 4]), torch.zeros(64, dtype=torch.float64), atol=1e-3
    )


def test_no_change_leaves_splats_as_they_are():
    p = splats()
    same = move(p, torch.zeros_like(p))
    for a, b in zip(covariance(same), covariance(p)):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-2)
    assert torch.equal(same[..., :2], p[..., :2]) and torch.equal(same[..., 5:], p[..., 5:])


def test_a_change_is_made_in_the_splats_own_frame():
    p = splats(8)
    change = (
        torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.3
    )
    out, q, c = move(p, change)[0].numpy(), p[0].numpy(), change[0].numpy()
    bound = 1.5 * np.tanh(c[:, :4] / 1.5)
    turn = np.stack(
        [np.cos(q[:, 4]), -np.sin(q[:, 4]), np.sin(q[:, 4]), np.cos(q[:, 4])], 1
    ).reshape(-1, 2, 2)
    root = turn * np.exp(q[:, None, 2:4])
    assert np.allclose(out[:, :2], q[:, :2] + np.einsum("nij,nj->ni", root, bound[:, :2]))
    upper = np.zeros((8, 2, 2))
    upper[:, 0, 0], upper[:, 1, 1] = np.exp(bound[:, 2]), np.exp(bound[:, 3])
    upper[:, 0, 1] = np.tanh(c[:, 4]) * upper[:, 1, 1]
    wanted = root @ upper @ (root @ upper).transpose(0, 2, 1)
    assert np.allclose(matrices(out), wanted, rtol=1e-3, atol=1e-2)


def test_gradients_of_a_change():
    p = splats(5)
    change = 0.2 * torch.randn(
        1, 5, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    assert torch.autograd.gradcheck(lambda c: move(p, c), change.requires_grad_(), atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 64), st.integers(0, 5))
def test_merged_splats_have_the_moments_of_their_runs(count, seed):
    p = splats(64, seed)
    merged, run, seen = merge(p, count)
    assert (
        merged.shape == (1, count, 8) and seen.shape == (1, 64, 9) and torch.isfinite(merged).all()
    )
    q, i = p[0].numpy(), int(run[20])
    rows = q[run.numpy() == i]
    area = np.exp(rows[:, 2] + rows[:, 3])
    centre = np.average(rows[:, :2], 0, area)
    spread = matrices(rows) + np.einsum("ni,nj->nij", rows[:, :2] - centre, rows[:, :2] - centre)
    assert np.allclose(merged[0, i, :2], centre) and np.allclose(
        merged[0, i, 5:], np.average(rows[:, 5:], 0, area)
    )
    assert np.allclose(
        matrices(merged[0, i : i + 1].numpy())[0],
        0.6 * np.average(spread, 0, area),
        rtol=2e-3,
        atol=0.05,
    )


def test_neighbours_look_the_same_when_all_is_turned():
    """Turned by 90 degrees and twice as large, a frame's splats see their neighbours as before."""
    p = splats(24)
    index = nearest(p, 4)
    q = p.clone()
    q[..., 0], q[..., 1] = 2 * (SIZE[1] - p[..., 1]), 2 * p[..., 0]
    q[..., 2:4] += math.log(2)
    q[..., 4] += math.pi / 2
    there = relate(q, index, (2 * SIZE[1], 2 * SIZE[0]))
    assert torch.allclose(relate(p, index, SIZE), there, atol=1e-6)
    assert torch.allclose(
        describe(p, SIZE)[..., :2], describe(q, (2 * SIZE[1], 2 * SIZE[0]))[..., :2], atol=1e-6
    )


def test_steps_are_those_of_records():
    p = splats(128, dtype=torch.float64)
    for precision in (120, 131):
        scale = grid.scale_index((p[0, :, 2] + p[0, :, 3]).numpy() / 2, SIZE, 128, precision)
        mine = steps(p, SIZE, precision)[0].numpy()
        colour, shape = grid.colour_step(scale, precision), grid.shape_step(scale, precision)
        assert np.median(np.abs(np.log(mine[:, 5] / colour))) < 0.1
        assert np.median(np.abs(np.log(mine[:, 3] / (shape * grid.ASPECT_STEP)))) < 0.1
        theta_step = np.pi / np.multiply(
            *grid.angles(
                scale,
                np.round((p[0, :, 2] - p[0, :, 3]).numpy() / mine[:, 3]).astype(int),
                precision,
            )
        )
        thin = (p[0, :, 2] - p[0, :, 3]).numpy() > 0.5
        assert np.median(np.abs(np.log(mine[thin, 4] / theta_step[thin]))) < 0.25


@pytest.mark.parametrize(
    "count, parts", [(16, 8), (64, 8), (96, 8), (128, 4), (192, 4), (256, 2), (384, 2), (512, 1)]
)
def test_parts(count, parts):
    assert parts_of(count) == parts


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = Anchors(width=32)
    for parameter in made.parameters():  # as after training: no layer is the identity
        parameter.data += 0.02 * torch.randn_like(parameter)
    return made.eval()


def test_a_batch_of_one_is_decoded_like_one_of_many(model):
    p = splats(64, batch=5, dtype=torch.float32)
    with torch.no_grad():
        many, one = model.split(p, SIZE), model.split(p[3:4], SIZE)
    assert many.shape == (5, 512, 8) and torch.allclose(many[3], one[0], atol=1e-3)


def test_a_new_model_is_nearly_the_identity():
    torch.manual_seed(0)
    p = splats(64, dtype=torch.float32)
    fresh, change = Anchors(), None
    merged = merge(p, 64)[0]
    change = (fresh.anchors(p, SIZE, 64) - merged).abs()
    assert change[..., :2].max() < 0.5 and change[..., 5:].max() < 0.05


def test_training_gives_gradients_to_every_weight():
    torch.manual_seed(0)
    model, seen = Anchors(width=16).train(), set()
    batch = Batch(splats(512, batch=2, dtype=torch.float32), SIZE, torch.rand(2, 3, 30, 40))
    for _ in range(12):
        output = model(batch)
        (output.splats.sum() + output.bits.sum()).backward()
    seen = {
        name
        for name, p in model.named_parameters()
        if p.grad is not None and torch.isfinite(p.grad).all()
    }
    assert seen == {name for name, _ in model.named_parameters()}


def test_descent_approaches_the_picture(model):
    target = forward(
        splats(200, 3)[0].float().numpy() * [0.25, 0.25, 1, 1, 1, 1, 1, 1]
        - [0, 0, 1.386, 1.386, 0, 0, 0, 0],
        (80, 60),
    )
    begin = splats(64, 4, dtype=torch.float32)
    picture = torch.from_numpy(target.transpose(2, 0, 1).copy()).unsqueeze(0)

    def error(params):
        small = params.astype(np.float32) * [0.25, 0.25, 1, 1, 1, 1, 1, 1] - [
            0,
            0,
            1.386,
            1.386,
            0,
            0,
            0,
            0,
        ]
        return ((forward(small.astype(np.float32), (80, 60)) - target) ** 2).mean()

    better = module.descended(begin, SIZE, picture, 20)
    assert error(better[0].numpy()) < 0.5 * error(begin[0].numpy())


def test_a_model_file_round_trip(model, tmp_path):
    save(model, tmp_path / "m.safetensors", {})
    again = load(tmp_path / "m.safetensors")
    p = splats(128, dtype=torch.float32)
    assert again.prior is None and torch.equal(again.split(p, SIZE), model.split(p, SIZE))
