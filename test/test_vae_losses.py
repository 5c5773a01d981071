"""Losses by hand, by finite differences, and as configs ask for them."""

import math

import numpy as np
import pytest
import torch
from raster_cases import splats
from skimage.metrics import structural_similarity

from gaussvae_ros.errors import ConfigError, ModelError
from gaussvae_ros.splats import Splats
from gaussvae_ros.training.losses import LOSSES, Case, Objective, kl_nats
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.parameters import Normaliser, to_features
from gaussvae_ros.training.render import draw

SIZE, PICTURE = (64, 48), (32, 24)


def fits(batch: int = 3, n: int = 12, seed: int = 0) -> torch.Tensor:  # [B, N, 8]
    sets = [
        Splats(splats(n, SIZE, sigma=(4, 20), seed=seed + b), SIZE).canonical().params
        for b in range(batch)
    ]
    return torch.tensor(np.stack(sets))


def sample(batch: int = 3) -> Batch:
    return Batch(fits(batch), SIZE, draw(fits(batch, seed=40), SIZE, PICTURE))


class Slots(SplatModel):
    """Has what the loss `parameters` asks of a model."""

    def __init__(self, form: str = "canonical"):
        super().__init__()
        self.normaliser = Normaliser(form)


def value(
    config: dict, batch: Batch, output: Output, step: int = 0, model: SplatModel | None = None
):
    return Objective(config, model)(batch, output, step)


def test_parameters_are_the_mean_squares_of_groups():
    batch, model = sample(), Slots()
    model.normaliser.adapt(batch)
    truth = model.normaliser.encode(batch.splats, SIZE)
    features = truth.clone()
    features[..., 0] += 1  # half of position: 0.5
    features[..., 2] += 2  # all of scale: 4
    features[..., 4] -= 3  # half of rotation: 4.5
    features[..., 7] += 0.3  # a third of colour: 0.03
    config = {
        "parameters": {"weight": 2, "position": 1, "scale": 10, "rotation": 100, "colour": 1000}
    }
    total, figures = value(config, batch, Output(batch.splats, features), model=model)
    np.testing.assert_allclose(total, 2 * (0.5 + 40 + 450 + 30), rtol=1e-4)
    groups = {"position": 0.5, "scale": 4, "rotation": 4.5, "colour": 0.03}
    for name, expected in groups.items():
        np.testing.assert_allclose(figures[f"parameters/{name}"], expected, rtol=1e-4)


@pytest.mark.parametrize("form", ["raw", "canonical"])
def test_the_mean_predictor_s_parameters_cost_one_a_group(form):
    batch, model = sample(16), Slots(form)
    model.normaliser.adapt(batch)
    _, figures = value(
        {"parameters": {}}, batch, Output(batch.splats, torch.zeros_like(batch.splats)), model=model
    )
    for name in model.normaliser.groups:
        assert float(figures[f"parameters/{name}"]) == pytest.approx(1, abs=0.02)


def test_chamfer_by_hand():
    batch = sample(2)
    decoded = fits(2, 7, seed=20)
    deviation = to_features(batch.splats, SIZE, 12).flatten(0, 1).std(0)
    a, b = (to_features(s, SIZE, 12) / deviation for s in (decoded, batch.splats))
    distances = ((a[:, :, None] - b[:, None]) ** 2).sum(-1)  # [B, 7, 12]
    expected = distances.amin(2).mean() + distances.amin(1).mean()
    total, _ = value({"chamfer": {}}, batch, Output(decoded))
    torch.testing.assert_close(total, expected)
    assert float(value({"chamfer": {}}, batch, Output(batch.splats.flip(1)))[0]) < 1e-9


def test_render_counts_each_picture_s_error_by_its_weight():
    batch, decoded = sample(2), fits(2, seed=30)
    errors = ((draw(decoded, SIZE, PICTURE) - batch.pictures) ** 2).mean((1, 2, 3))
    total, figures = value({"render": {"weight": 5}}, batch, Output(decoded))
    torch.testing.assert_close(total, 5 * errors.mean())
    torch.testing.assert_close(figures["psnr"], -10 * errors.log10().mean())
    weighted, figures = value(
        {"render": {}}, batch, Output(decoded, weight=torch.tensor([3.0, 1.0]))
    )
    torch.testing.assert_close(weighted, (3 * errors[0] + errors[1]) / 2)


def test_dssim_is_scikit_image_s():
    batch, decoded = sample(2), fits(2, seed=30)
    drawn = draw(decoded, SIZE, PICTURE)
    found = []
    for a, b in zip(drawn, batch.pictures):
        _, full = structural_similarity(
            a.numpy(), b.numpy(), win_size=7, data_range=1, channel_axis=0, full=True
        )
        found.append(full[:, 3:-3:4, 3:-3:4].mean())
    total, _ = value({"dssim": {}}, batch, Output(decoded))
    assert float(total) == pytest.approx(1 - np.mean(found), abs=1e-4)


def test_kl_is_that_of_two_normal_distributions():
    mean, log_variance = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.5, -2.0]])
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_nats(mean, log_variance), expected)


def test_kl_rises_with_steps_and_has_free_bits():
    batch = sample(2)
    # Nats a dimension, on average: 1, 0, 0.005.
    mean = torch.tensor([[2.0, 0.0, 0.1], [0.0, 0.0, 0.1]])
    output = Output(batch.splats, mean=mean, log_variance=torch.zeros(2, 3))
    assert float(value({"kl": {"weight": 2}}, batch, output)[0]) == pytest.approx(2 * 1.005)
    for step, share in ((0, 0), (25, 0.25), (100, 1), (1000, 1)):
        total, figures = value({"kl": {"anneal": 100}}, batch, output, step)
        assert float(total) == pytest.approx(share * 1.005) and float(
            figures["kl_nats"]
        ) == pytest.approx(1.005)
    free = 0.5 * math.log(2)
    assert float(value({"kl": {"free_bits": 0.5}}, batch, output)[0]) == pytest.approx(1 + 2 * free)
    figures = value({"kl": {}}, batch, output)[1]
    assert float(figures["active"]) == 1
    assert float(figures["bits_per_dimension"]) == pytest.approx(1.005 / 3 / math.log(2))


def test_rate_is_bits_over_pixels():
    batch = sample(2)
    bits = torch.tensor([[8.0, 0.02, 4.0], [2.0, 0.06, 0.0]])
    total, figures = value({"rate": {"weight": 3}}, batch, Output(batch.splats, bits=bits))
    assert float(total) == pytest.approx(3 * 7.04 / (32 * 24))
    assert float(figures["active"]) == 2 and float(figures["bits_per_dimension"]) == pytest.approx(
        7.04 / 3
    )


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_differences(name):
    """Along one random direction of what the loss depends on."""
    batch, model, rng = sample(2), Slots(), torch.Generator().manual_seed(3)
    model.normaliser.adapt(batch)
    inputs = {
        "splats": fits(2, seed=30), "features": torch.randn(2, 12, 8, generator=rng),
        "mean": torch.randn(2, 5, generator=rng), "log_variance": torch.randn(2, 5, generator=rng),
        "bits": torch.rand(2, 5, generator=rng),
    }  # fmt: skip
    way = {key: torch.randn(x.shape, generator=rng) for key, x in inputs.items()}

    def loss(t):
        output = Output(**{key: x + t * way[key] for key, x in inputs.items()})
        return LOSSES[name](Case(batch, output, 10, model.normaliser))[0]

    t, step = torch.zeros((), requires_grad=True), 1e-3
    loss(t).backward()
    slope = float(loss(torch.tensor(step)).double() - loss(torch.tensor(-step)).double()) / (
        2 * step
    )
    assert float(t.grad) == pytest.approx(slope, rel=0.02, abs=1e-3) and slope != 0


def test_losses_add_up_and_are_logged_before_their_weights():
    batch = sample(2)
    output = Output(fits(2, seed=30), mean=torch.ones(2, 4), log_variance=torch.zeros(2, 4))
    total, figures = value(
        {"render": {"weight": 7}, "chamfer": {"weight": 0.5}, "kl": None}, batch, output
    )
    torch.testing.assert_close(
        total, 7 * figures["render"] + 0.5 * figures["chamfer"] + figures["kl"]
    )
    assert not any(figure.requires_grad for figure in figures.values())


@pytest.mark.parametrize(
    "config, message",
    [
        ({}, "none are given"),
        ({"renders": {}}, "'renders' is unknown; there is parameters"),
        (
            {"kl": {"wieght": 1}},
            "losses.kl has no setting 'wieght'; it has weight, anneal, free_bits",
        ),
        ({"kl": {"weight": -1}}, "losses.kl.weight is a number of at least 0, not -1"),
        ({"kl": {"weight": True}}, "not True"),
        ({"kl": {"weight": math.nan}}, "not nan"),
        ({"kl": {"anneal": "long"}}, "not 'long'"),
        ({"render": 3}, "losses.render is a mapping"),
    ],
)
def test_a_wrong_config_is_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        Objective(config)


@pytest.mark.parametrize(
    "name, missing", [("kl", "mean"), ("rate", "bits"), ("parameters", "slot by slot")]
)
def test_a_loss_that_the_model_cannot_serve_is_refused(name, missing):
    batch = sample(1)
    with pytest.raises(ModelError, match=missing):
        value({name: {}}, batch, Output(batch.splats))
