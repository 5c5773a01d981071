"""How alike two pictures are: descriptors of 64 bytes, compared by the angle between them.

The descriptor says how much brighter it gets to the right, left, bottom and top in each of 4x4
parts of the picture: a histogram of gradients (Dalal and Triggs, CVPR 2005) with square roots taken
(Arandjelovic and Zisserman, CVPR 2012), so that a few strong edges do not outweigh all others.
docs/bank.md has what it was chosen by. No ROS, no torch.
"""

import numpy as np

from gaussvae_ros.errors import ImageError

LENGTH = 64  # bytes of a descriptor: 4 directions x 4 rows x 4 columns
PARTS = 4
WIDTH, HEIGHT = 64, 48  # px, to which a picture is shrunk
HALVED = 4  # times that size, down to which pictures are halved
FLOOR = 1.0  # grey levels a pixel of the small picture: fainter edges are taken for noise
# Keeps faint descriptors together, so that two noisy pictures of a blank wall are alike.
OFFSET = 0.3


def describe(image: np.ndarray) -> np.ndarray:
    """The descriptor of a picture, which sensor noise, exposure and compression change little.

    Args:
        image: uint8 [H, W, 3] RGB or [H, W], of any size.

    Returns:
        int8 [64].

    Raises:
        ImageError: not such a picture.
    """
    across, down = slopes(image, (WIDTH, HEIGHT), HALVED)
    edges = np.maximum([across, -across, down, -down], 0)
    parts = edges.reshape(4, PARTS, HEIGHT // PARTS, PARTS, WIDTH // PARTS).mean((2, 4)) + FLOOR
    roots = np.sqrt(parts / parts.mean())
    values = roots - roots.mean() + OFFSET
    return np.rint(values * (127 / np.abs(values).max())).astype(np.int8).ravel()


def slopes(
    image: np.ndarray, size: tuple[int, int], halved: int
) -> tuple[np.ndarray, np.ndarray]:  # float32 [h, w] each
    """How brightness rises to the right and downwards, grey levels a pixel, in a picture shrunk to
    `size` (w, h) px: by halves down to `halved` times that, which is several times faster than any
    other ratio. Takes what `describe` takes, and raises as it does.
    """
    import cv2

    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size):
        raise ImageError("a picture to describe is a uint8 array that is not empty")
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ImageError(f"a picture to describe is [H, W, 3] or [H, W], not {list(image.shape)}")
    height, width = image.shape[:2]
    while width >= 2 * halved * size[0] and height >= 2 * halved * size[1]:
        width, height = width // 2, height // 2
        image = cv2.resize(
            image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    across, down = (cv2.Scharr(grey, cv2.CV_32F, *axis) / 32 for axis in ((1, 0), (0, 1)))
    return across, down


def likeness(query: np.ndarray, many: np.ndarray) -> np.ndarray:
    """How alike descriptors are, by the angle between them: 1 for none, 0 from a right angle on.

    Args:
        query: int8 [N].
        many: int8 [M, N].

    Returns:
        float32 [M], 0 to 1.
    """
    query, many = query.astype(np.float32), many.astype(np.float32)
    # The sums are whole numbers below 2^24, so exact; their quotient in 64 bits makes equal
    # descriptors exactly 1.
    lengths = np.sqrt((query @ query).astype(np.float64) * np.einsum("ij,ij->i", many, many))
    # By BLAS it would take threads that wait for each other, for some hundred descriptors already.
    sums = np.einsum("ij,j->i", many, query)
    cosines = np.divide(sums, lengths, out=np.ones(len(many)), where=lengths > 0)
    return (1 - np.arccos(np.clip(cosines, 0, 1)) * (2 / np.pi)).astype(np.float32)


def likenesses(many: np.ndarray) -> np.ndarray:
    """How alike each of some descriptors, int8 [M, N], is to each, as `likeness` has it: float32
    [M, M].
    """
    many = many.astype(np.float32)
    squares = np.einsum("ij,ij->i", many, many).astype(np.float64)
    lengths = np.sqrt(np.outer(squares, squares))
    cosines = np.divide(many @ many.T, lengths, out=np.ones_like(lengths), where=lengths > 0)
    return (1 - np.arccos(np.clip(cosines, 0, 1)) * (2 / np.pi)).astype(np.float32)
