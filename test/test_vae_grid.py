"""The grid VAE: its linear path, its prior, what its losses add up to, and that it learns."""

from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from test_vae_losses import fits
from torch.nn.functional import interpolate

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training import models
from gaussvae_ros.training.grid import CELL, CELLS, PRICE, REACH
from gaussvae_ros.training.losses import Objective
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.render import draw
from gaussvae_ros.training.steps import Step

SIZE, PICTURE = (64, 48), (80, 60)
CONFIG = Path(__file__).parents[1] / "config" / "grid.yaml"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def sample(count: int = 4) -> Batch:
    splats = fits(count, 24)
    splats[..., :2] *= torch.tensor(SIZE) / splats[..., :2].amax((0, 1))
    splats[..., 2:4] = splats[..., 2:4].clamp(0.5, 2)
    return Batch(splats, SIZE, draw(splats, SIZE, PICTURE))


def small(**settings):
    torch.manual_seed(0)
    model = models.build(
        {"architecture": "grid", "channels": 8, "width": 16, "layers": 1, "prior": 24, **settings}
    )
    model.adapt(sample())
    return model


def test_it_begins_as_the_principal_components_of_the_picture():
    """In fine steps, colours are area means of the fit and splats rest on a regular grid."""
    model, batch = small(channels=3 * CELL**2, step=1e-4).eval(), sample()
    with torch.no_grad():
        for network in (model.encoder, model.decoder):
            network.last.weight.zero_()
        splats = model(batch).splats
    means = (
        interpolate(batch.pictures, size=(30, 40), mode="area").permute(0, 2, 3, 1).flatten(1, 2)
    )
    torch.testing.assert_close(splats[..., 5:], means, atol=2e-3, rtol=0)
    distance = SIZE[0] / 40
    x, y = splats[0, :, 0].view(30, 40), splats[0, :, 1].view(30, 40)
    torch.testing.assert_close(x[7], (torch.arange(40) + 0.5) * distance)
    torch.testing.assert_close(y[:, 3], (torch.arange(30) + 0.5) * distance)
    assert splats[..., 2:5].std((0, 1)).max() < 1e-5


def test_splats_stay_near_their_anchors_and_canonical():
    model = small().eval()
    rest = model.synthesise(torch.zeros(1, 8, *CELLS[::-1]), torch.zeros(1), SIZE)
    torch.nn.init.normal_(model.decoder.last.weight, std=50)
    wild = model.synthesise(100 * torch.randn(1, 8, *CELLS[::-1]), torch.zeros(1), SIZE)
    away = (wild - rest)[..., :2].abs().max()
    assert 0.5 * REACH * SIZE[0] / 40 < away <= REACH * SIZE[0] / 40 * 1.01
    assert (wild[..., 2] >= wild[..., 3]).all() and (
        (wild[..., 4] >= 0) & (wild[..., 4] < 3.1416)
    ).all()


def shuffled_prior():
    """A prior whose every weight matters."""
    prior = small().prior
    for p in prior.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return prior.double()


def test_a_number_is_coded_from_those_before_it_alone():
    prior, log_step = shuffled_prior(), torch.zeros(1).double()
    latent = torch.randn(1, 8, 6, 8).double()
    before = prior(latent, log_step).flatten()
    for place in (0, 5, 77, 200, 383):  # in the order of decoding: rows, columns, channels
        row, column, channel = place // 64, place // 8 % 8, place % 8
        other = latent.clone()
        other[0, channel, row, column] += 1
        changed = (prior(other, log_step).flatten() - before).abs() > 1e-12
        assert not changed[:place].any() and changed[place]
        assert changed[place + 1 :].any() or place == 383


def test_the_bits_of_all_values_are_a_probability():
    prior, log_step = shuffled_prior(), torch.full((401,), -1.0).double()
    latent = torch.randn(1, 8, 6, 8).double().round().repeat(401, 1, 1, 1)
    latent[:, 3, 2, 4] = torch.arange(-200, 201)
    share = (2 ** -prior(latent, log_step)[:, 2, 4, 3]).sum()
    assert float(share.detach()) == pytest.approx(1, abs=1e-3)


def test_losses_are_squared_error_and_bits_at_one_price():
    step = 0.2
    model, batch = small(step=step).eval(), sample()
    output = model(batch)
    total, _ = Objective({"render": {}, "rate": {}}, model)(batch, output, 0)
    # At the cells' resolution.
    error = ((draw(output.splats, SIZE, PICTURE) - batch.pictures) ** 2).sum((1, 2, 3))
    whole = (error / (PRICE * step**2) + output.bits.sum(1)).mean()
    assert float(total.detach()) == pytest.approx(
        float(whole.detach()) / (PICTURE[0] * PICTURE[1]), rel=1e-4
    )


def test_evaluation_rounds_and_training_draws_steps():
    model, batch = small(step=0.3), sample()
    once, again = model.train()(batch), model(batch)
    assert not torch.equal(once.bits, again.bits) and once.weight.std() > 0
    model.eval()
    assert torch.equal(model(batch).splats, model(batch).splats)
    alone = model(Batch(batch.splats[1:2], SIZE, batch.pictures[1:2]))
    torch.testing.assert_close(alone.bits[0], model(batch).bits[1], rtol=1e-4, atol=1e-4)
    coarse = small(step=0.6).eval()(batch)
    assert coarse.bits.sum() < model(batch).bits.sum()


def test_it_learns():
    model, batch = small(step=0.1), sample()
    objective = Objective({"render": {}, "rate": {}}, model)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    with torch.no_grad():
        first = float(objective(batch, model.eval()(batch), 0)[0])
    for step in range(200):  # which ends at 0.27 of the first loss; 60 steps end at 0.7
        loss, _ = objective(batch, model.train()(batch), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert float(objective(batch, model.eval()(batch), 0)[0].detach()) < 0.7 * first


def test_its_file_gives_it_back(tmp_path):
    model, batch = small().eval(), sample()
    models.save(model, tmp_path / "grid.safetensors", {})
    loaded = models.load(tmp_path / "grid.safetensors")
    torch.testing.assert_close(loaded(batch).bits, model(batch).bits)
    assert torch.equal(loaded(batch).splats, model(batch).splats)


def test_frames_of_another_shape_are_refused():
    batch = sample(1)
    with pytest.raises(ModelError, match="4:3, not 64x64"):
        small()(Batch(batch.splats, (64, 64), batch.pictures))


def test_the_config_builds_it():
    config = YAML(typ="safe", pure=True).load(CONFIG.read_text())
    assert models.architecture(models.build(config["model"])) == "grid"
    Objective(config["losses"])


def test_bfloat16_is_of_the_network_alone_also_on_a_cpu():
    class Probe(SplatModel):
        def __init__(self):
            super().__init__()
            self.layer, self.seen = torch.nn.Linear(8, 8), []

        def forward(self, batch):
            self.seen.append(self.layer(batch.splats).dtype)
            return Output(self.layer(batch.splats))

    model, batch = Probe(), sample(1)
    objective = Objective({"render": {}}, model)
    for precision in ("bfloat16", "float32"):
        total, _ = Step(model, objective, precision)(batch, 0)
        assert total.dtype == torch.float32
    assert model.seen == [torch.bfloat16, torch.float32]
