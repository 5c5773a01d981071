"""Batches of prepared samples: files, exact augmentation, an order that resumes, damage named."""

import json
import time
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.errors import DataError
from gaussvae_ros.raster import BACKGROUND
from gaussvae_ros.raster.reference import rasterize
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, Splats
from gaussvae_ros.training.crops import SPLATS
from gaussvae_ros.training.prepare import FORMAT, SHARD, sample_type, shard_path
from gaussvae_ros.training.shards import Shards, mirrored, random_colours

SIZE = (64, 48)
COUNT = SHARD + 30


def random_splats(rng: np.random.Generator, n: int = SPLATS) -> np.ndarray:
    """Canonical splats float32 [n, 8] that cover an image of SIZE."""
    params = np.empty((n, 8), np.float32)
    params[:, :2] = rng.uniform(0, SIZE, (n, 2))
    params[:, LOG_S1], params[:, LOG_S2] = rng.uniform(1.2, 2, n), rng.uniform(0.6, 1.2, n)
    params[:, THETA], params[:, 5:] = rng.uniform(0, np.pi, n), rng.random((n, 3))
    return Splats(params, SIZE).canonical().params


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two shards of samples to train with, two samples to validate with; random pixels."""
    out, rng = tmp_path_factory.mktemp("set"), np.random.default_rng(0)
    for part, count in (("train", COUNT), ("valid", 2)):
        samples = np.empty(count, sample_type(SIZE))
        samples["splats"] = [random_splats(rng) for _ in range(count)]
        samples["picture"] = rng.integers(0, 256, samples["picture"].shape, np.uint8)
        for first in range(0, count, SHARD):
            np.save(shard_path(out, part, first // SHARD), samples[first : first + SHARD])
    parts = {"train": {"pictures": 1, "samples": COUNT}, "valid": {"pictures": 1, "samples": 2}}
    manifest = {"format": FORMAT, "complete": True, "asked": {"size": SIZE}, "parts": parts}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def averaged(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area means of uint8 [B, H, W, 3] in double precision, [B, 3, h, w], 0 to 1."""
    (b, height, width, _), (w, h) = pixels.shape, size
    means = (
        pixels.reshape(b, h, height // h, w, width // w, 3).astype(np.float64).mean((2, 4)) / 255
    )
    return means.transpose(0, 3, 1, 2)


def test_a_batch_holds_what_the_files_hold(folder):
    shards, indices = Shards(folder), np.array([SHARD + 3, 0, COUNT - 1, 0])
    files = np.concatenate([np.load(shard_path(folder, "train", i)) for i in range(2)])
    assert len(shards) == COUNT and len(Shards(folder, "valid")) == 2
    for size in ((32, 24), (64, 48), (16, 16)):
        batch = shards.batch(indices, size)
        assert batch.size == SIZE and batch.splats.dtype == batch.pictures.dtype == torch.float32
        np.testing.assert_array_equal(batch.splats.numpy(), files[indices]["splats"])
        np.testing.assert_allclose(
            batch.pictures.numpy(), averaged(files[indices]["picture"], size), atol=1e-6
        )


def test_augmented_splats_render_to_the_augmented_rendering(folder):
    """Exactly, but for the background's share of a pixel; and pixels go the way that splats go."""
    shards, indices = Shards(folder), np.arange(12)
    plain, same = shards.batch(indices, SIZE), shards.batch(indices, SIZE, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    flip, (matrix, offset) = rng.random(12) < 0.5, random_colours(rng, 12)
    assert 2 <= flip.sum() <= 10
    for i in indices:
        before = rasterize(plain.splats[i].double(), SIZE).numpy()
        after = rasterize(same.splats[i].double(), SIZE).numpy()
        black = torch.cat([plain.splats[i, :, :5], torch.zeros(SPLATS, 3)], 1).double()
        share = rasterize(black, SIZE).numpy() / BACKGROUND  # of the background
        colours = before @ matrix[i].T + offset[i]
        wanted = colours - share * (matrix[i].sum(1) * BACKGROUND + offset[i] - BACKGROUND)
        np.testing.assert_allclose(after, wanted[:, ::-1] if flip[i] else wanted, atol=2e-5)
        pixels = plain.pictures[i].numpy().transpose(1, 2, 0)
        wanted = (pixels[:, ::-1] if flip[i] else pixels) @ matrix[i].T + offset[i]
        np.testing.assert_allclose(same.pictures[i].numpy().transpose(1, 2, 0), wanted, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, np.pi / 2, 1e-8, 3.1415925]))
def test_mirrored_splats_are_canonical_and_mirror_back(seed, angle):
    splats = np.stack([random_splats(np.random.default_rng(seed + i)) for i in range(3)])
    splats[:, 0, THETA] = angle
    there = mirrored(splats, SIZE)
    assert there[..., THETA].min() >= 0 and there[..., THETA].max() < np.pi
    for one in there:
        np.testing.assert_array_equal(one, Splats(one, SIZE).canonical().params)
    back = mirrored(there, SIZE)
    turned = np.abs(back[..., THETA] - splats[..., THETA])
    assert np.minimum(turned, np.pi - turned).max() < 1e-5
    np.testing.assert_allclose(np.delete(back, THETA, 2), np.delete(splats, THETA, 2), atol=1e-4)


def test_colours_stay_near_their_range_and_some_are_grey():
    matrix, offset = random_colours(np.random.default_rng(0), 4000)
    colours = (
        np.random.default_rng(1).random((4000, 50, 3)) @ matrix.transpose(0, 2, 1) + offset[:, None]
    )
    assert (
        np.mean((colours < 0) | (colours > 1)) < 0.03
        and colours.min() > -0.3
        and colours.max() < 1.3
    )
    grey = np.ptp(colours, axis=2).max(1) < 1e-9
    assert 0.13 < grey.mean() < 0.17
    assert np.std(colours.mean((1, 2))) > 0.03  # light varies
    np.testing.assert_array_equal(random_colours(np.random.default_rng(0), 4000)[0], matrix)


def test_every_epoch_takes_every_sample_once_in_a_new_order(folder):
    shards = Shards(folder)
    flat = np.concatenate(list(islice(shards.iterate(11, 5), 2 * COUNT // 11)))  # COUNT is 26 * 11
    first, second = flat[:COUNT], flat[COUNT:]
    assert sorted(first) == sorted(second) == list(range(COUNT)) and not np.array_equal(
        first, second
    )
    assert not np.array_equal(next(shards.iterate(COUNT, 6)), first)


@settings(max_examples=30, deadline=None)
@given(
    start=st.integers(0, 200),
    size=st.integers(1, 40),
    world=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_the_order_resumes_anywhere_and_is_shared_out(folder, start, size, world, seed):
    shards = Shards(folder)
    together = list(islice(shards.iterate(size * world, seed), start + 3))[start:]
    parts = [
        list(islice(shards.iterate(size, seed, start, rank, world), 3)) for rank in range(world)
    ]
    for step in range(3):
        np.testing.assert_array_equal(
            np.concatenate([part[step] for part in parts]), together[step]
        )


def test_a_batch_may_hold_more_than_there_is(folder):
    batch = next(Shards(folder, "valid").iterate(5, 0))
    assert sorted(batch[:2]) == sorted(batch[2:4]) == [0, 1]


def test_augmentation_is_that_of_the_generator(folder):
    shards = Shards(folder)
    a, b, c = (
        shards.batch(np.arange(8), (32, 24), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(a.splats, b.splats) and torch.equal(a.pictures, b.pictures)
    assert not torch.equal(a.pictures, c.pictures)


def test_mirroring_a_batch_is_fast():
    splats = np.stack([random_splats(np.random.default_rng(i)) for i in range(32)])
    mirrored(splats, SIZE)
    best = np.inf
    for _ in range(10):
        begun = time.perf_counter()
        mirrored(splats, SIZE)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.01  # s


def test_bad_folders_and_arguments_are_named(folder, tmp_path):
    def refused(match: str, part: str = "train", **changes: object) -> None:
        manifest = json.loads((folder / "manifest.json").read_text()) | changes
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(DataError, match=match):
            Shards(tmp_path, part)

    with pytest.raises(DataError, match="holds no training data"):
        Shards(tmp_path)
    refused("not finished", complete=False)
    refused("format 99", format=99)
    refused("not 'test'", "test")
    refused("no samples in its part", "valid", parts={"valid": {"samples": 0}})
    refused("train-00000.npy is missing")
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(DataError, match="not a manifest"):
        Shards(tmp_path)
    with pytest.raises(DataError, match="64x48 px cannot be averaged to 30x24 px"):
        Shards(folder).batch(np.arange(2), (30, 24))
    for index in (-1, COUNT):
        with pytest.raises(IndexError):
            Shards(folder).batch(np.array([index]), SIZE)


def test_damaged_shards_are_named(folder, tmp_path):
    (tmp_path / "manifest.json").write_text((folder / "manifest.json").read_text())
    data = shard_path(folder, "valid", 0).read_bytes()
    shard = shard_path(tmp_path, "valid", 0)
    for content, match in [
        (data[:-1000], "cut short"),
        (data[:50], "not a shard, or damaged"),
        (b"x" + data[1:], "not a shard, or damaged"),
        (shard_path(folder, "train", 1).read_bytes(), "not the shard that the manifest describes"),
    ]:
        shard.write_bytes(content)
        with pytest.raises(DataError, match=match):
            Shards(tmp_path, "valid")
    shard.write_bytes(data)
    shards = Shards(tmp_path, "valid")
    shard.write_bytes(data[:-1000])
    with pytest.raises(DataError, match="was cut short"):
        shards.batch(np.arange(2), SIZE)
