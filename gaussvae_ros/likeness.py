"""How alike two pictures are: a descriptor of 64 bytes for each, compared by their correlation. No ROS, no torch."""

import numpy as np

from gaussvae_ros.errors import ImageError

LENGTH = 64  # bytes of a descriptor


def describe(image: np.ndarray) -> np.ndarray:
    """The descriptor of a picture.

    Args:
        image: uint8 [H, W, 3] RGB or [H, W], 16x16 px or larger.

    Returns:
        int8 [64].

    Raises:
        ImageError: not a picture.
    """
    import cv2

    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3) and image.size):
        raise ImageError("a picture to describe is uint8 [H, W, 3] or [H, W]")
    small = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = small @ np.array([0.299, 0.587, 0.114], np.float32) if small.ndim == 3 else small
    grey -= grey.mean()
    return np.rint(grey * (127 / max(np.abs(grey).max(), 1.0))).astype(np.int8).ravel()


def likeness(query: np.ndarray, many: np.ndarray) -> np.ndarray:
    """How alike a descriptor int8 [N] and each of `many`, int8 [M, N], are: float32 [M], 0 to 1."""
    query, many = query.astype(np.float32), many.astype(np.float32)
    norms = np.linalg.norm(query) * np.linalg.norm(many, axis=1)
    return np.clip(many @ query / np.maximum(norms, 1e-6), 0, 1)
