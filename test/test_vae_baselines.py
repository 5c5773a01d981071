"""The published networks: their sizes, what they give, that they learn, and their configs."""

from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from test_vae_losses import PICTURE, SIZE, fits

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training import models
from gaussvae_ros.training.losses import Objective
from gaussvae_ros.training.model import Batch
from gaussvae_ros.training.render import draw

CONFIG = Path(__file__).parents[1] / "config"
BASELINES = {"conv1d": {}, "resnet1d": {}, "vector": {"hidden": [64]}}


def sample(batch: int = 4, n: int = 32) -> Batch:
    splats = fits(batch, n)
    return Batch(splats, SIZE, draw(splats, SIZE, PICTURE))


def small(name: str, latent: int = 16, n: int = 32, **settings):
    torch.manual_seed(0)
    model = models.build(
        {"architecture": name, "latent": latent, "splats": n, **BASELINES[name], **settings}
    )
    model.adapt(sample(n=n))
    return model


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_networks_have_the_published_number_of_parameters():
    conv = models.build({"architecture": "conv1d", "latent": 256})
    assert 1.55e6 < size(conv) < 1.65e6
    resnet = models.build({"architecture": "resnet1d"})
    assert (size(resnet) - size(resnet.decoder), size(resnet.decoder)) == (12_246_304, 41_911_848)


@pytest.mark.parametrize(
    "name, form", [("conv1d", "canonical"), ("resnet1d", "raw"), ("vector", "canonical")]
)
def test_what_a_baseline_gives(name, form):
    model, batch = small(name, parameters=form), sample()
    output = model.train()(batch)
    assert output.splats.shape == output.features.shape == (4, 32, 8) and output.mean.shape == (
        4,
        16,
    )
    assert (output.log_variance is None) == (name == "vector")
    assert output.splats.isfinite().all() and model.config["parameters"] == form
    decoded = model.normaliser.decode(output.features, SIZE)
    assert torch.equal(decoded, output.splats)
    output.features.square().sum().backward()
    assert all(
        p.grad is not None for key, p in model.named_parameters() if "log_variance" not in key
    )


def test_training_draws_a_latent_and_evaluation_takes_its_mean():
    model, batch = small("conv1d"), sample()
    assert not torch.equal(model.train()(batch).splats, model(batch).splats)
    assert torch.equal(model.eval()(batch).splats, model(batch).splats)


def test_evaluation_of_a_frame_does_not_depend_on_the_others():
    model, batch = small("conv1d").eval(), sample()
    alone = model(Batch(batch.splats[1:2], SIZE, batch.pictures[1:2]))
    torch.testing.assert_close(alone.features[0], model(batch).features[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_can_learn_four_frames_by_heart(name):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    n = 16
    model, batch = small(name, n=n, parameters="canonical").train(), sample(n=n)
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    objective = Objective({"parameters": {}}, model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    first = last = None
    for step in range(20 if name == "resnet1d" else 300):
        loss, figures = objective(batch, model(batch), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or float(loss.detach()), float(loss.detach())
    torch.set_num_threads(threads)
    assert last < 0.5 * first, (first, last)


@pytest.mark.parametrize("name", ["conv1d", "vector"])
def test_another_number_of_splats_is_refused(name):
    with pytest.raises(ModelError, match="takes 32 splats a frame, not 20"):
        small(name)(sample(n=20))


@pytest.mark.parametrize("name", BASELINES)
def test_the_config_builds_its_model_and_its_losses(name):
    config = YAML(typ="safe", pure=True).load((CONFIG / f"{name}.yaml").read_text())
    model = models.build(config["model"])
    assert config["model"]["architecture"] == name and models.architecture(model) == name
    splats = fits(2, 512)
    batch = Batch(splats, SIZE, torch.zeros(2, 3, *PICTURE[::-1]))
    model.adapt(batch)
    total, figures = Objective(config["losses"], model)(batch, model.train()(batch), 100)
    assert (
        total.isfinite() and {f"parameters/{g}" for g in model.normaliser.groups} <= figures.keys()
    )
