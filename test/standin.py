"""A codec for tests of what surrounds the real one: a JPEG in a record."""

import io
from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
from PIL import Image

from gaussvae_ros.errors import RecordError
from gaussvae_ros.fit import check_image
from gaussvae_ros.record import PREDICTED, Record, checksum, needs, pack, unpack


class JpegCodec:
    """Encodes and decodes like FrameCodec."""

    models = SimpleNamespace(get=lambda hash_: None)  # it needs none

    def __init__(self, models: Iterable = (), remember: int = 0) -> None:
        """Needs no models."""

    def encode(
        self,
        image: np.ndarray,
        quality: float = 50,
        effort: str = "fast",
        reference: list[bytes] | None = None,
    ) -> bytes:
        check_image(image)
        out = io.BytesIO()
        Image.fromarray(image).save(out, "jpeg", quality=int(quality))
        size = image.shape[1], image.shape[0]
        if reference:
            return pack(Record(PREDICTED, size, out.getvalue(), checksum(reference[-1])))
        return pack(Record("splats", size, out.getvalue()))

    def predict(self, image: np.ndarray, quality: float, reference) -> None:
        """Predicts nothing."""

    def cost(self, image: np.ndarray, data: bytes, reference, quality: float) -> float:
        return 0.0

    def decode(
        self,
        data: bytes | list[bytes],
        size: tuple[int, int] | None = None,
        roi: tuple[int, int, int, int] | None = None,
    ) -> np.ndarray:
        records = data if isinstance(data, list) else [data]
        kinds = [unpack(record).tier == PREDICTED for record in records]
        if kinds[0] or not all(map(needs, records[1:], records)):
            raise RecordError("a record needs the one before it, the first none")
        try:
            picture = Image.open(io.BytesIO(unpack(records[-1]).payload))
        except OSError as error:
            raise RecordError("record holds no JPEG") from error
        x, y, w, h = roi or (0, 0, *picture.size)
        return np.asarray(picture.crop((x, y, x + w, y + h)).resize(size or (w, h)))
