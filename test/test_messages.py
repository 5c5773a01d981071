"""Image messages to arrays: every encoding against an image we know, and broken messages refused in one line."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gaussvae_ros.errors import ImageError
from gaussvae_ros.messages import ENCODINGS, image_from_message

W, H = 34, 22  # px


def scene() -> np.ndarray:
    """A smooth colour image, so that chroma subsampling and mosaics lose little; uint8 [H, W, 3] RGB."""
    y, x = np.mgrid[:H, :W]
    return np.stack([40 + 5 * x, 60 + 6 * y, 220 - 3 * x - 2 * y], -1).astype(np.uint8)


def raw(encoding: str, rows: np.ndarray, big: bool = False, pad: int = 0, width: int = W) -> SimpleNamespace:
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


@pytest.mark.parametrize("pad", [0, 5])
@pytest.mark.parametrize(
    "encoding, order",
    [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("8UC3", [2, 1, 0]), ("rgba8", [0, 1, 2, 0]), ("bgra8", [2, 1, 0, 1])],
)
def test_colour_orders_come_out_as_rgb(encoding: str, order: list[int], pad: int) -> None:
    image = scene()
    message = raw(encoding, image[..., order].reshape(H, -1), pad=pad)
    assert np.array_equal(image_from_message(message), image)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_mono_stays_mono(encoding: str) -> None:
    image = scene()[..., 0]
    assert np.array_equal(image_from_message(raw(encoding, image, pad=3)), image)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_mono16_keeps_the_top_8_bits_of_the_sensor_depth(bits: int, big: bool) -> None:
    image = scene()[..., 0]
    image[0, 0] = 255
    samples = image.astype(np.uint16) << (bits - 8)
    rows = samples.astype(">u2" if big else "<u2").view(np.uint8)
    assert np.array_equal(image_from_message(raw("mono16", rows, big=big, pad=6)), image)


def test_colour_of_16_bits() -> None:
    image = scene()
    image[0, 0] = 255
    rows = (image[..., ::-1].astype("<u2") << 8).reshape(H, -1).view(np.uint8)
    assert np.array_equal(image_from_message(raw("bgr16", rows)), image)


@pytest.mark.parametrize(
    "encoding, luma, chroma", [("yuv422", 1, 0), ("uyvy", 1, 0), ("yuv422_yuy2", 0, 1), ("yuyv", 0, 1)]
)
def test_yuv422(encoding: str, luma: int, chroma: int) -> None:
    y, u, v = yuv(scene())
    packed = np.zeros((H, W // 2, 4), np.uint8)
    packed[..., luma], packed[..., luma + 2] = y[:, ::2], y[:, 1::2]
    packed[..., chroma], packed[..., chroma + 2] = u, v
    error = image_from_message(raw(encoding, packed.reshape(H, -1), pad=4)).astype(int) - scene()
    assert np.abs(error).max() <= 6


@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(order: str, size: int) -> None:
    samples = mosaic(scene(), order)
    samples[0, 0] = 255 if size == 16 else samples[0, 0]
    rows = samples if size == 8 else (samples.astype("<u2") << 8).view(np.uint8)
    error = image_from_message(raw(f"bayer_{order}{size}", rows)).astype(int) - scene()
    assert np.abs(error[3:-3, 3:-3]).max() <= 2  # the gradient is linear: interpolation is exact away from the border


def test_last_row_may_lack_its_padding() -> None:
    message = raw("mono8", scene()[..., 0], pad=7)
    message.data = message.data[:-7]
    assert np.array_equal(image_from_message(message), scene()[..., 0])


@pytest.mark.parametrize("fmt", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8", ""])
def test_jpeg(fmt: str) -> None:
    out = image_from_message(compressed(as_file(scene(), "jpeg", quality=95), fmt))
    assert out.shape == (H, W, 3) and np.abs(out.astype(int) - scene()).mean() < 4


@pytest.mark.parametrize("fmt", ["png", "rgb8; png compressed bgr8", "bgr8; png compressed bgr8"])
def test_png_is_exact(fmt: str) -> None:
    assert np.array_equal(image_from_message(compressed(as_file(scene(), "png"), fmt)), scene())


def test_mono_files_stay_mono_and_alpha_goes() -> None:
    mono = scene()[..., 0]
    assert np.array_equal(image_from_message(compressed(as_file(mono, "png"), "mono8; png compressed mono8")), mono)
    assert image_from_message(compressed(as_file(mono, "jpeg"))).shape == (H, W)
    alpha = np.dstack([scene(), mono])
    assert np.array_equal(image_from_message(compressed(as_file(alpha, "png"))), scene())


def test_png_of_16_bits() -> None:
    mono = scene()[..., 0]
    mono[0, 0] = 255
    assert np.array_equal(image_from_message(compressed(as_file(mono.astype(np.uint16) << 4, "png"))), mono)


def broken() -> dict[str, SimpleNamespace]:
    jpeg, rows = as_file(scene(), "jpeg"), scene().reshape(H, -1)
    return {
        "is not supported": raw("32FC1", rows),
        "is truncated": SimpleNamespace(**{**vars(raw("rgb8", rows)), "data": rows.reshape(-1)[:-1]}),
        "bytes a row": SimpleNamespace(**{**vars(raw("rgb8", rows)), "step": 3 * W - 1}),
        "empty size": SimpleNamespace(**{**vars(raw("rgb8", rows)), "width": 0}),
        "odd width": raw("yuv422", np.zeros((4, 6), np.uint8), width=3),
        "too small": raw("bayer_rggb8", np.zeros((2, 2), np.uint8), width=2),
        "does not decode": compressed(jpeg[: len(jpeg) // 2]),
        "neither JPEG nor PNG": compressed(b"not a picture"),
        "hold distances": compressed(b"", "16UC1; compressedDepth png"),
    }


@pytest.mark.parametrize("text", broken())
def test_broken_messages_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ImageError, match=text) as caught:
        image_from_message(broken()[text])
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(ENCODINGS)),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 60),
    st.binary(max_size=500),
)
def test_any_raw_message_gives_an_image_or_an_image_error(
    encoding: str, w: int, h: int, step: int, data: bytes
) -> None:
    message = SimpleNamespace(width=w, height=h, step=step, encoding=encoding, is_bigendian=0, data=data)
    try:
        image = image_from_message(message)
    except ImageError:
        return
    assert image.dtype == np.uint8 and image.shape[:2] == (h, w)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["jpeg", "png"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_any_compressed_bytes_give_an_image_or_an_image_error(kind: str, edits: list, cut: float) -> None:
    data = bytearray(as_file(scene(), kind))
    for where, value in edits:
        data[int(where * (len(data) - 1))] = value
    try:
        image = image_from_message(compressed(bytes(data[: int(cut * len(data)) + 1])))
    except ImageError:
        return
    assert image.dtype == np.uint8 and image.ndim in (2, 3)
