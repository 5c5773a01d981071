"""docs/format.md as a decoder in plain Python, beside the package's own."""

import cv2
import numpy as np
import pytest
from camera import CODEC
from formatalone import Decoder
from formatpredicted import Predicted
from formatrecord import read, tensors_of
from grids import fields, random_grid
from priors import random_change_prior, random_prior
from test_changes import reference, some_changes

from gaussvae_ros.codec import DEFAULT_MODEL
from gaussvae_ros.entropy.changes import CHANGED, KEPT, NEW, Changes, Decoded, applied
from gaussvae_ros.model_files import find
from gaussvae_ros.record import unpack
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where
from gaussvae_ros.vae.latent import CHANGES, LatentCodec
from gaussvae_ros.vae.models import HASH_BYTES


@pytest.mark.parametrize(
    "size, n, precision, channels",
    [((640, 480), 70, 128, 3), ((90, 400), 40, 137, 1), ((31, 17), 33, 119, 3)],
)
def test_the_documented_decoder_reads_records(size, n, precision, channels):
    g = random_grid(np.random.default_rng(n), size, n, precision, channels)
    model = random_prior(n)
    page = Decoder(model.write(g), model.tensors(), size, n, precision, channels)
    assert fields(page.decode()) == fields(g)
    same_splats(page, Decoded.of(g))


def same_splats(page, splats: Decoded) -> None:
    """Alike but for the last bits."""
    np.testing.assert_allclose(page.geometry, splats.geometry, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(page.rgb, splats.colour, rtol=0, atol=1e-12)


def same_changes(page: Predicted, made: Changes) -> None:
    index, channels = np.array(page.index), made.colour.shape[1]
    assert page.levels == made.motion.levels
    assert [pair for *_, pair in page.coefficients] == list(map(tuple, made.motion.coefficients))
    np.testing.assert_array_equal(index[:, 0], made.kind)
    np.testing.assert_array_equal(index[:, [2, 1]], made.move)
    np.testing.assert_array_equal(index[:, 3:6], made.shape)
    np.testing.assert_array_equal(index[:, 6 : 6 + channels], made.colour)
    for name, values in page.new.items():
        assert values == getattr(made.new, name).tolist(), name
    assert bool(page.new) == bool(len(made.new.cell))


# Predicted records


@pytest.fixture(scope="module")
def models() -> dict[bytes, dict]:
    """Tensors of the models that the codec encodes with, by name in records."""
    return dict(tensors_of(find(name)) for name in (DEFAULT_MODEL, CHANGES))


@pytest.mark.parametrize(
    "begun, step, size, quality, mono",
    [
        (60.0, 0.4, (160, 120), 25, False),  # s along the drive, s between frames, px
        (20.0, 0.5, (200, 96), 20, False),
        (100.0, 0.1, (160, 128), 20, True),
        (30.0, 0.3, (96, 128), 10, True),
        (5.0, 0.0, (64, 48), 5, False),  # standing still
    ],
)
def test_the_documented_decoder_reads_predicted_frames(models, begun, step, size, quality, mono):
    world, sensor = build(0), Sensor(SIZE, FOCAL, 0)
    chain: list[bytes] = []
    for pose in where(np.array([0.0, step, 2 * step]) + begun, 60.0):
        image = cv2.resize(
            photograph(world, sensor, *pose, 0.0), size, interpolation=cv2.INTER_AREA
        )
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if mono else image
        one = (
            CODEC.predict(image, quality, chain).data
            if chain
            else CODEC.encode(image, quality + 15)
        )
        chain.append(one)
    first, *pages = read(chain, models)
    payload = unpack(chain[0]).payload
    latent = LatentCodec(DEFAULT_MODEL)
    splats = Decoded.of(latent.decode(payload, size))
    same_splats(first, splats)
    for page, record in zip(pages, chain[1:], strict=True):
        payload = unpack(record).payload
        model = latent.models.get(payload[:HASH_BYTES]).prior
        same_changes(page, model.read(payload[HASH_BYTES + 1 :], splats, payload[HASH_BYTES]))
        splats = latent.apply(payload, splats)
        same_splats(page, splats)
    kinds = {index[0] for page in pages for index in page.index}
    assert kinds == ({KEPT, CHANGED, NEW} if step else {KEPT})


@pytest.mark.parametrize(
    "n, channels, precision, share",
    [(60, 3, 130, 0.6), (45, 1, 121, 0.3), (20, 3, 147, 1.0), (3, 3, 139, 0.9), (1, 1, 128, 0.0)],
)
def test_the_documented_decoder_reads_any_changes(n, channels, precision, share):
    """Three in a row, under networks of random numbers."""
    rng, model = np.random.default_rng(n), random_change_prior(n)
    splats = reference(rng, n, channels, wild=0.6)
    before = splats.geometry.tolist(), splats.colour.tolist()
    for _ in range(3):
        made = some_changes(rng, splats, precision, share)
        data, tensors = model.write(splats, made), model.tensors()
        page = Predicted(data, tensors, splats.size, before, precision, channels)
        page.decode()
        same_changes(page, made)
        splats, before = applied(splats, made), (page.geometry, page.rgb)
        same_splats(page, splats)
