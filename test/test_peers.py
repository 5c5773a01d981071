"""Files of peers at a byte budget: the best size and quality, what cannot fit; the DCT floor."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation import peers
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import CODECS, SCALES, at_bytes, curve, dct_floor

BUDGETS = [300, 600, 1200, 2400, 9000]


def scene(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Blobs of many sizes: something like a photograph to a codec."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), s) * s for s in (1.5, 4, 12, 30)]
    picture = sum(layer / s**0.3 for layer, s in zip(layers, (1.5, 4, 12, 30)))
    return np.clip(127 + 45 * picture / (picture.std() + 1e-9), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=[(120, 161, 3), (120, 161)], ids=["rgb", "mono"])
def image(request):
    return scene(request.param)


@pytest.mark.parametrize("codec", CODECS)
def test_files_fit_and_more_bytes_are_never_worse(image, codec):
    results = curve(image, codec, BUDGETS)
    assert results[-1] is not None
    quality = [psnr(image, r.image) if r else -np.inf for r in results]
    assert quality == sorted(quality) and quality[-1] > quality[-2]
    for budget, result in zip(BUDGETS, results):
        if result is not None:
            assert result.bytes <= budget
            assert result.image.shape == image.shape and result.image.dtype == np.uint8
            assert result.scale in SCALES


@pytest.mark.parametrize("codec", CODECS)
def test_the_figures_are_those_of_a_real_file(image, codec):
    """Encode again at the scale and quality that it says, through Pillow: the same picture."""
    result = at_bytes(image, codec, 1500)
    size = tuple(max(1, round(n * result.scale)) for n in image.shape[1::-1])
    small = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    options = {"jpeg": {"subsampling": "4:2:0", "optimize": True}, "webp": {"method": 6}}[codec]
    file = io.BytesIO()
    small.save(file, codec, quality=result.quality, **options)
    size = len(file.getvalue())
    assert result.bytes <= size if codec == "jpeg" else result.bytes == size
    again = np.asarray(Image.open(file).convert("RGB" if image.ndim == 3 else "L"))
    again = cv2.resize(again, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(result.image, again)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_nothing_that_fits_is_better(codec):
    """Every quality at every scale, tried in full."""
    image, budget = scene((64, 96, 3), seed=3), 900
    best = -np.inf
    for scale in SCALES:
        picture = peers.shrink(image, scale)
        for quality in range(peers.LOWEST, peers.HIGHEST + 1):
            data = peers.encode(picture, codec, quality)
            if len(data) <= budget:
                best = max(best, psnr(image, peers.enlarge(peers.decode(data, 3), image.shape)))
    assert psnr(image, at_bytes(image, codec, budget).image) == pytest.approx(best, abs=0.05)


@pytest.mark.parametrize("codec", CODECS)
def test_one_budget_gives_what_a_curve_gives(codec):
    image = scene((64, 96), seed=5)
    alone = [at_bytes(image, codec, budget) for budget in (500, 1500)]
    for a, b in zip(alone, curve(image, codec, (1500, 500))[::-1]):
        assert (a.bytes, a.scale) == (b.bytes, b.scale)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("shape", [(11, 11, 3), (1, 1), (3, 200)])
def test_no_room_is_none_and_tiny_images_work(codec, shape):
    image = scene(shape)
    assert at_bytes(image, codec, 20) is None
    assert at_bytes(image, codec, 50_000).image.shape == shape


def test_low_rates_take_the_small_size_and_high_rates_the_native_one():
    image = scene((240, 320, 3))
    low, high = curve(image, "webp", [700, 30_000])
    assert low.scale < 0.5 and high.scale == 1


def test_not_an_image_is_refused():
    with pytest.raises(ImageError):
        at_bytes(np.zeros((20, 20), np.float64), "jpeg", 1000)


@pytest.mark.parametrize("shape", [(48, 63, 3), (48, 63)])
def test_dct_floor_is_the_best_so_many_coefficients(shape):
    """The error that is left is the energy of the coefficients left out, as scipy says."""
    fft = pytest.importorskip("scipy.fft")
    image = scene(shape)
    energy = np.sort(fft.dctn(np.float64(image), norm="ortho").ravel() ** 2)[::-1]
    for numbers in (50, 500):
        left = np.sum((np.float64(image) - dct_floor(image, numbers)) ** 2)
        assert left == pytest.approx(
            energy[numbers:].sum(), rel=0.02
        )  # rounding and clipping to uint8
    np.testing.assert_array_equal(dct_floor(image, image.size), image)
    assert (dct_floor(image, 1) == dct_floor(image, 1).flat[0]).all()
