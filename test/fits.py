"""Images to fit, random splats under way in a descent, and how well a picture comes out."""

import cv2
import numpy as np

from gaussvae_ros.fit import adam
from gaussvae_ros.raster import cpu
from gaussvae_ros.splats import Splats


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def scene(width: int = 320, height: int = 240) -> np.ndarray:  # uint8 [h, w, 3]
    """Gradients, edges in many directions, a texture, thin lines and fractal noise, at any size."""
    x, y = np.meshgrid(np.linspace(0, 4, width), np.linspace(0, 3, height))
    image = np.stack([60 + 40 * x, 90 + 30 * y, 150 - 20 * x], 2)
    image[np.hypot(x - 1, y - 1) < 0.6] = 220, 60, 40
    image[(x + y > 4.5) & (2 * x - y < 5)] = 30, 50, 90
    image[np.abs(y - 0.4 * x - 1.6) < 0.03] = 250
    image[y < 0.6] += 25 * np.sin(30 * x[y < 0.6])[:, None]
    image = cv2.GaussianBlur(image, (0, 0), width / 400)
    rng = np.random.default_rng(0)
    for octave in range(2, 8):  # amplitudes halve as frequencies double, as in photographs
        waves = rng.normal(0, 120 / 2**octave, (3 * 2**octave, 4 * 2**octave, 3))
        image += cv2.resize(waves, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def psnr(image: np.ndarray, splats: Splats) -> float:  # dB
    drawn = np.clip(np.rint(cpu.forward(splats.params, splats.size) * 255), 0, 255)
    error = np.square(drawn - image.reshape(drawn.shape).astype(float)).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


def a_descent(n: int, size: tuple[int, int], seed: int = 0) -> adam.Descent:
    """Random splats of 2 to 6 px with some shear, in the descent's own form."""
    rng = np.random.default_rng(seed)
    geometry = np.stack(
        [
            *(rng.uniform(0, 1, (n, 2)) * size).T,
            rng.uniform(2, 6, n),
            rng.uniform(-1, 1, n),
            rng.uniform(2, 6, n),
        ],
        1,
    )
    return adam.Descent(geometry, rng.uniform(0, 1, (n, 3)).astype(np.float32))
