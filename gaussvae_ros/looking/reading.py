"""Signs, door numbers and other text in a picture, read by RapidOCR on the CPU.

Its wheel carries the weights (PP-OCRv6, small), so that nothing is fetched. Needs the extra `text`.
"""

from importlib.util import find_spec

import numpy as np

from gaussvae_ros.bank.search.texts import MOST, Text
from gaussvae_ros.errors import ConfigError
from gaussvae_ros.extras import install

PACKAGES = ("onnxruntime", "rapidocr")
CONFIDENT = 0.5  # what is read with less is left out
SIDE = 736  # px, to which the shorter side of a smaller picture is enlarged
_THREADS = "EngineConfig.onnxruntime.{}_op_num_threads"


def check_packages() -> None:
    """Raise a ConfigError where the extra is not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ConfigError(f"reading text takes {' and '.join(missing)}: {install('text')}")


class TextReader:
    """Reads pictures, one at a time, on one thread.

    Raises:
        ConfigError: the extra `text` is not installed.
    """

    def __init__(self) -> None:
        check_packages()
        from rapidocr import RapidOCR

        one = {_THREADS.format(kind): 1 for kind in ("intra", "inter")}
        given = {"Global.log_level": "error", "Det.limit_side_len": SIDE}
        self._read = RapidOCR(params={**given, "Global.text_score": CONFIDENT, **one})

    def read(self, image: np.ndarray) -> list[Text]:
        """The lines of text in a picture, uint8 [H, W, 3] RGB or [H, W]; those read best first."""
        height, width = image.shape[:2]
        if image.ndim == 2:
            image = np.stack([image] * 3, axis=-1)
        found = self._read(np.ascontiguousarray(image[..., ::-1]))
        texts = []
        boxes = () if found.boxes is None else found.boxes
        for corners, text, score in zip(boxes, found.txts or (), found.scores or ()):
            x, y = np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
            right, bottom = np.clip(np.ceil(corners.max(axis=0)), 1, (width, height)).astype(int)
            if any(letter.isalnum() for letter in text):
                box = int(x), int(y), max(int(right - x), 1), max(int(bottom - y), 1)
                texts.append(Text(text.strip(), box, min(float(score), 1.0)))
        return sorted(texts, key=lambda text: -text.confidence)[:MOST]
