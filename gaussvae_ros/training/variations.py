"""A picture and its splats, varied alike: mirrored, moved, enlarged, turned, lighter or darker."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from gaussvae_ros.splats import COLOUR, LOG_S1, LOG_S2, THETA, X, Y

ZOOM, SHIFT, TURN = 0.2, 0.08, 0.15  # log of the scale, share of the sides, rad: at most
CONTRAST, LIGHT = 0.3, 0.15  # log of the gain, and share of the range: at most


@dataclass(frozen=True)
class Variation:
    """One way to see a picture otherwise. `splats` and `picture` do the same, but that a picture
    has edges: what comes in from beyond them repeats them."""

    mirrored: bool
    linear: np.ndarray  # [2, 2]
    shift: np.ndarray  # [2], share of the sides
    gain: float
    offset: float

    @classmethod
    def draw(cls, rng: np.random.Generator, mirror: bool) -> "Variation":
        zoom, turn = rng.uniform(-ZOOM, ZOOM), rng.uniform(-TURN, TURN)
        c, s = math.exp(zoom) * math.cos(turn), math.exp(zoom) * math.sin(turn)
        return cls(
            bool(mirror and rng.random() < 0.5),
            np.array([[c, -s], [s, c]]),
            rng.uniform(-SHIFT, SHIFT, 2),
            math.exp(rng.uniform(-CONTRAST, CONTRAST)),
            rng.uniform(-LIGHT, LIGHT),
        )

    def splats(self, params: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Of params [N, 5 + C] as gaussvae_ros.splats for a picture of `size` px."""
        params, size = params.copy(), np.array(size)
        if self.mirrored:
            params[:, X], params[:, THETA] = size[0] - params[:, X], np.pi - params[:, THETA]
        moved = (params[:, [X, Y]] - size / 2) @ self.linear.T + (0.5 + self.shift) * size
        params[:, [X, Y]] = moved
        params[:, [LOG_S1, LOG_S2]] += np.log(np.hypot(*self.linear[0]))
        params[:, THETA] += math.atan2(self.linear[1, 0], self.linear[0, 0])
        params[:, COLOUR:] = (params[:, COLOUR:] - 0.5) * self.gain + 0.5 + self.offset
        return params

    def picture(self, picture: np.ndarray) -> np.ndarray:
        """Of uint8 [H, W] or [H, W, 3]: float32 of that shape, 1 for 255."""
        if self.mirrored:
            picture = np.ascontiguousarray(picture[:, ::-1])
        size = np.array(picture.shape[1::-1])
        middle = size / 2 - 0.5  # of pixel centres
        move = middle + self.shift * size - self.linear @ middle
        matrix = np.column_stack([self.linear, move])
        seen = cv2.warpAffine(picture, matrix, size.tolist(), borderMode=cv2.BORDER_REPLICATE)
        return ((seen / np.float32(255) - 0.5) * self.gain + 0.5 + self.offset).astype(np.float32)
