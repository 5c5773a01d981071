"""Frames to bytes and back: what comes back, in how many bytes, of any size and part."""

import cv2
import numpy as np
import pytest
from camera import CODEC, count_of, frame
from fits import scene
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.fit import fit
from gaussvae_ros.raster.view import render
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.splats import Splats
from gaussvae_ros.vae.latent import splats_at


@pytest.fixture(scope="module")
def record():
    return CODEC.encode(frame())


def test_a_frame_comes_back(record):
    image = CODEC.decode(record)
    assert (image.shape, image.dtype) == ((120, 160, 3), np.uint8)
    assert psnr(frame(), image) > 25
    assert unpack(record).size == (160, 120) and unpack(record).tier == "latent"


def test_a_mono_frame_comes_back_mono():
    grey = frame()[..., 1]
    data = CODEC.encode(grey)
    image = CODEC.decode(data)
    assert image.shape == (120, 160) and psnr(grey, image) > 25
    assert len(data) < len(CODEC.encode(frame()))


# Quality and effort


def test_quality_is_a_number_of_splats():
    assert [splats_at(q) for q in (0, 25, 50, 75, 100)] == [32, 64, 128, 256, 8192]
    counts = [splats_at(q) for q in range(101)]
    assert counts == sorted(counts) and len(set(counts)) > 90
    assert splats_at(np.float32(50)) == splats_at(np.int64(50)) == 128
    image = frame()
    assert [count_of(CODEC.encode(image, quality=q)) for q in (0, 50, 80)] == [32, 128, 512]


def test_a_small_frame_has_no_more_splats_than_a_fourth_of_its_pixels():
    assert count_of(CODEC.encode(frame(32, 20), quality=100)) == 32 * 20 // 4
    assert count_of(CODEC.encode(frame(3, 2), quality=100)) == 32


def test_more_quality_is_more_bytes_and_a_better_picture_from_end_to_end():
    """Over the whole scale, without a seam where the number of splats begins to rise faster."""
    image, sizes, scores = scene(), [], []
    for quality in (0, 15, 30, 45, 60, 70, 78, 86, 93, 100):
        data = CODEC.encode(image, quality=quality)
        sizes.append(len(data))
        scores.append(psnr(image, CODEC.decode(data)))
    assert np.diff(np.log(sizes)).min() > 0.1, sizes
    assert np.diff(scores).min() > -0.1 and scores[-1] > scores[0] + 8, scores
    gains = np.diff(scores) / np.diff(np.log2(sizes))  # dB for each doubling of the bytes
    assert gains.max() < 4, gains


def test_about_half_a_kilobyte_at_the_default(record):
    assert 300 < len(record) < 700


def test_more_effort_is_a_better_picture():
    image = frame()
    best, fast = (CODEC.encode(image, quality=30, effort=effort) for effort in ("best", "fast"))
    assert psnr(image, CODEC.decode(best)) > psnr(image, CODEC.decode(fast))


@pytest.mark.parametrize("quality, count", [(0, 32), (25, 128), (50, 512), (100, 4800)])
def test_the_tier_of_splats_gives_as_many_as_it_had_and_a_warning(quality, count):
    """At most one for each 4 px."""
    image = frame()
    with pytest.warns(DeprecationWarning, match="quality alone says") as said:
        data = CODEC.encode(image, quality=quality, tier="splats")
    assert said[0].filename == __file__
    assert count_of(data) == count and unpack(data).tier == "latent"
    assert CODEC.decode(data).shape == image.shape


def test_the_latent_tier_is_what_it_was_and_warns(record):
    with pytest.warns(DeprecationWarning):
        assert CODEC.encode(frame(), tier="latent") == record
    with pytest.warns(DeprecationWarning) as said:
        assert CODEC.encode_many([frame()] * 2, tier="latent") == [record] * 2
    assert {warning.filename for warning in said} == {__file__}


# Sizes and parts


def test_any_size(record):
    whole = CODEC.decode(record)
    assert CODEC.decode(record, size=(320, 240)).shape == (240, 320, 3)
    small = CODEC.decode(record, size=(40, 30)).astype(int)
    assert np.abs(small - cv2.resize(whole, (40, 30), interpolation=cv2.INTER_AREA)).max() <= 1
    twice = CODEC.decode(record, size=(320, 240))
    assert psnr(whole, cv2.resize(twice, (160, 120), interpolation=cv2.INTER_AREA)) > 35


def test_any_part(record):
    whole, part = CODEC.decode(record), CODEC.decode(record, roi=(20, 30, 50, 40))
    assert np.abs(part.astype(int) - whole[30:70, 20:70]).max() <= 1
    assert CODEC.decode(record, size=(25, 80), roi=(20, 30, 50, 40)).shape == (80, 25, 3)


def test_a_record_of_a_huge_frame_shows_parts_and_small_pictures():
    # Splats scale with the frame, so its payload is one of any square frame.
    square = CODEC.encode(frame(128, 128))
    huge = pack(Record("latent", (65535, 65535), unpack(square).payload))
    with pytest.raises(GaussVaeError, match="65535x65535"):
        CODEC.decode(huge)
    small = CODEC.decode(huge, size=(64, 64)).astype(int)
    assert np.abs(small - CODEC.decode(square, size=(64, 64))).mean() < 1
    assert CODEC.decode(huge, roi=(60000, 60000, 64, 48)).shape == (48, 64, 3)


# Splats


def test_the_splats_of_a_record_draw_its_picture(record):
    splats = CODEC.splats(record)
    assert splats.size == (160, 120) and splats.params.shape == (128, 8)
    np.testing.assert_array_equal(render(splats, splats.size), CODEC.decode(record))
    np.testing.assert_array_equal(splats.canonical().params, splats.params)
    grey = CODEC.splats(CODEC.encode(frame()[..., 0], quality=0))
    assert grey.params.shape == (32, 6)


def test_fitted_splats_become_a_record_and_splats_again():
    """512 x 8 numbers in, a record of their picture, 512 x 8 numbers out."""
    image = frame(320, 240)
    fitted = fit(image, 512)
    assert fitted.params.shape == (512, 8)
    data = CODEC.encode_splats(fitted, quality=80)
    assert unpack(data).size == (320, 240)
    back = CODEC.splats(data)
    assert back.params.shape == (512, 8)
    assert psnr(image, render(back, back.size)) > psnr(image, render(fitted, fitted.size)) - 2
    grey = Splats(fitted.params[:, :6], fitted.size)
    assert CODEC.decode(CODEC.encode_splats(grey, quality=0)).shape == (240, 320)


# Pictures of all kinds


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["black", "white", "grey", "noise", "checker", "one dot", "half"])
@pytest.mark.parametrize("size", [(64, 48), (33, 200)])
def test_hard_pictures(name, size):
    w, h = size
    image = np.zeros((h, w, 3), np.uint8)
    if name in ("white", "grey"):
        image[:] = 255 if name == "white" else 77
    elif name == "noise":
        image = np.random.default_rng(0).integers(0, 256, image.shape).astype(np.uint8)
    elif name == "checker":
        image[:] = 255 * ((np.arange(h)[:, None] + np.arange(w)) % 2)[..., None]
    elif name == "one dot":
        image[h // 2, w // 2] = 255
    elif name == "half":
        image[:, w // 2 :] = 255
    back = CODEC.decode(CODEC.encode(image))
    assert back.shape == image.shape
    assert psnr(image, back) > {"noise": 7, "checker": 5, "half": 18}.get(name, 28)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.booleans(), st.integers(0, 100))
def test_every_small_size(width, height, mono, quality):
    image = frame(width, height, seed=quality)
    image = image[..., 0] if mono else image
    back = CODEC.decode(CODEC.encode(image, quality=quality))
    assert back.shape == image.shape and back.dtype == np.uint8


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (1, 16), (2, 1), (300, 1), (1, 300), (7, 2)], ids=str)
def test_tiny_and_narrow_frames(size):
    image = frame(*size, seed=size[0])
    for one in (image, image[..., 0]):
        assert CODEC.decode(CODEC.encode(one)).shape == one.shape


def test_a_large_frame():
    image = cv2.resize(frame(640, 480), (1920, 1080), interpolation=cv2.INTER_LINEAR)
    data = CODEC.encode(image)
    assert len(data) < 900 and psnr(image, CODEC.decode(data)) > 23
