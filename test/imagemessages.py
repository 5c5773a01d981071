"""A small colour image, and messages that hold it in one encoding or another."""

import io
from types import SimpleNamespace

import numpy as np
from PIL import Image

W, H = 34, 22  # px


def scene() -> np.ndarray:
    """A smooth colour image, of which subsampling and mosaics lose little; uint8 [H, W, 3] RGB."""
    y, x = np.mgrid[:H, :W]
    return np.stack([40 + 5 * x, 60 + 6 * y, 220 - 3 * x - 2 * y], -1).astype(np.uint8)


def raw(
    encoding: str, rows: np.ndarray, big: bool = False, pad: int = 0, width: int = W
) -> SimpleNamespace:
    """An Image message of `rows` [H, bytes] with `pad` bytes of rubbish after each row."""
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=0xEE)
    return SimpleNamespace(
        width=width,
        height=len(rows),
        step=rows.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        data=rows.reshape(-1),
    )


def compressed(data: bytes, fmt: str = "jpeg") -> SimpleNamespace:
    return SimpleNamespace(format=fmt, data=np.frombuffer(data, np.uint8))


def as_file(image: np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def yuv(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BT.601 studio range by its formula: Y [H, W], U and V [H, W / 2]."""
    r, g, b = image.astype(float).transpose(2, 0, 1)
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    half = [c.reshape(H, W // 2, 2).mean(-1) for c in (u, v)]
    return tuple(np.rint(c).astype(np.uint8) for c in (y, *half))


def mosaic(image: np.ndarray, order: str) -> np.ndarray:
    """The sensor's view: `order` names the colours of the top left 2x2 px, row by row."""
    out = np.zeros(image.shape[:2], image.dtype)
    for i, colour in enumerate(order):
        out[i // 2 :: 2, i % 2 :: 2] = image[i // 2 :: 2, i % 2 :: 2, "rgb".index(colour)]
    return out
