"""Image messages to uint8 pixels: every raw encoding, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagemessages import H, W, as_file, compressed, mosaic, raw, scene, yuv

from gaussvae_ros.errors import ImageError
from gaussvae_ros.images.encodings import ENCODINGS, PLANAR
from gaussvae_ros.images.messages import ImageDecoder, image_from_message


@pytest.mark.parametrize("pad", [0, 5])
@pytest.mark.parametrize(
    "encoding, order",
    [
        ("rgb8", [0, 1, 2]),
        ("bgr8", [2, 1, 0]),
        ("8UC3", [2, 1, 0]),
        ("rgba8", [0, 1, 2, 0]),
        ("bgra8", [2, 1, 0, 1]),
        ("8UC4", [2, 1, 0, 1]),
        ("RGB8", [0, 1, 2]),
    ],
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


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    "encoding, order",
    [
        ("rgb16", [0, 1, 2]),
        ("bgr16", [2, 1, 0]),
        ("16UC3", [2, 1, 0]),
        ("rgba16", [0, 1, 2]),
        ("16UC4", [2, 1, 0]),
    ],
)
def test_colour_of_16_bits(encoding: str, order: list[int], big: bool) -> None:
    image = scene()
    image[0, 0] = 255
    samples = image[..., order].astype(np.uint16) << 4
    if ENCODINGS[encoding][0] == 4:
        # Alpha is no sample of the sensor.
        samples = np.dstack([samples, np.full((H, W), 65535, np.uint16)])
    rows = (
        np.ascontiguousarray(samples.astype(">u2" if big else "<u2")).reshape(H, -1).view(np.uint8)
    )
    assert np.array_equal(image_from_message(raw(encoding, rows, big=big)), image)


@pytest.mark.parametrize(
    "encoding, luma, chroma",
    [("yuv422", 1, 0), ("uyvy", 1, 0), ("yuv422_yuy2", 0, 1), ("yuyv", 0, 1)],
)
def test_yuv422(encoding: str, luma: int, chroma: int) -> None:
    y, u, v = yuv(scene())
    packed = np.zeros((H, W // 2, 4), np.uint8)
    packed[..., luma], packed[..., luma + 2] = y[:, ::2], y[:, 1::2]
    packed[..., chroma], packed[..., chroma + 2] = u, v
    error = image_from_message(raw(encoding, packed.reshape(H, -1), pad=4)).astype(int) - scene()
    assert np.abs(error).max() <= 6


def planar(encoding: str, pad: int = 0) -> SimpleNamespace:
    """The scene as luma above chroma, with `pad` bytes after each row of luma."""
    y, u, v = yuv(scene())
    if encoding == "nv24":
        chroma = np.dstack([np.repeat(u, 2, 1), np.repeat(v, 2, 1)]).reshape(H, -1)
    else:
        u, v = (c.reshape(H // 2, 2, -1).mean(1).astype(np.uint8) for c in (u, v))
        chroma = np.dstack([u, v] if encoding == "nv12" else [v, u]).reshape(H // 2, -1)
    across = chroma.shape[1] // W
    planes = [
        np.pad(p, ((0, 0), (0, pad * n)), constant_values=0xEE)
        for p, n in ((y, 1), (chroma, across))
    ]
    message = raw(encoding, y, pad=pad)
    message.data = np.concatenate([p.reshape(-1) for p in planes])
    return message


@pytest.mark.parametrize("pad", [0, 6])
@pytest.mark.parametrize("encoding", PLANAR)
def test_planar_yuv(encoding: str, pad: int) -> None:
    message = planar(encoding, pad)
    assert np.abs(image_from_message(message).astype(int) - scene()).max() <= 12
    expected = image_from_message(planar(encoding))
    assert np.array_equal(image_from_message(message), expected)
    message.data = message.data[: -1 - pad * 2]
    with pytest.raises(ImageError, match="truncated"):
        image_from_message(message)


@pytest.mark.parametrize("encoding", PLANAR)
def test_planar_yuv_of_a_driver_that_counts_two_channels(encoding: str) -> None:
    message = planar(encoding)
    message.step = 2 * W
    assert np.array_equal(image_from_message(message), image_from_message(planar(encoding)))


def test_planar_yuv_of_odd_sizes() -> None:
    for encoding, w, h in (("nv21", 3, 4), ("nv12", 4, 3)):
        message = raw(encoding, np.zeros((h, w), np.uint8), width=w)
        message.data = np.zeros(50, np.uint8)
        with pytest.raises(ImageError, match="odd size"):
            image_from_message(message)
    message = raw("nv24", np.zeros((3, 5), np.uint8), width=5)
    message.data = np.full(45, 128, np.uint8)
    assert image_from_message(message).shape == (3, 5, 3)


@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(order: str, size: int) -> None:
    samples = mosaic(scene(), order)
    samples[0, 0] = 255 if size == 16 else samples[0, 0]
    rows = samples if size == 8 else (samples.astype("<u2") << 8).view(np.uint8)
    error = image_from_message(raw(f"bayer_{order}{size}", rows)).astype(int) - scene()
    # The gradient is linear: interpolation is exact away from the border.
    assert np.abs(error[3:-3, 3:-3]).max() <= 2


def test_last_row_may_lack_its_padding() -> None:
    message = raw("mono8", scene()[..., 0], pad=7)
    message.data = message.data[:-7]
    assert np.array_equal(image_from_message(message), scene()[..., 0])


def test_depth_is_refused_as_depth() -> None:
    samples = np.full((H, W), 1500, np.uint16)
    depth = raw("16UC1", samples.view(np.uint8))
    file = compressed(as_file(samples, "png"), "16UC1; png compressed ")
    for message in (depth, file):
        with pytest.raises(ImageError, match="holds distances, not a picture"):
            ImageDecoder("/camera/depth/image_rect_raw").image(message)
        assert ImageDecoder("/thermal/image_raw").image(message).shape == (H, W)
    for encoding in ("32FC1", "64FC1"):
        with pytest.raises(ImageError, match="it holds depth, not a picture"):
            image_from_message(raw(encoding, np.zeros((H, 8 * W), np.uint8)))


@pytest.mark.parametrize("encoding", ["8UC2", "32SC1", "32FC3", "theora", "", "rgb"])
def test_an_unknown_encoding_lists_the_known_ones(encoding: str) -> None:
    with pytest.raises(
        ImageError, match="is not supported; supported are .*rgb8.*bayer_rggb8.*8UC4.*nv21"
    ):
        image_from_message(raw(encoding, np.zeros((H, 4 * W), np.uint8)))


def broken() -> dict[str, SimpleNamespace]:
    jpeg, rows = as_file(scene(), "jpeg"), scene().reshape(H, -1)
    return {
        "is not supported": raw("32FC1", rows),
        "is truncated": SimpleNamespace(
            **{**vars(raw("rgb8", rows)), "data": rows.reshape(-1)[:-1]}
        ),
        "bytes a row": SimpleNamespace(**{**vars(raw("rgb8", rows)), "step": 3 * W - 1}),
        "empty size": SimpleNamespace(**{**vars(raw("rgb8", rows)), "width": 0}),
        "odd width": raw("yuv422", np.zeros((4, 6), np.uint8), width=3),
        "too small": raw("bayer_rggb8", np.zeros((2, 2), np.uint8), width=2),
        "does not decode": compressed(jpeg[: len(jpeg) // 2]),
        "neither JPEG nor PNG": compressed(b"not a picture"),
        "hold distances": compressed(b"", "16UC1; compressedDepth png"),
        "'h264' is video": compressed(b"\0\0\0\1\x67\x42\0\x1e", "h264"),
    }


@pytest.mark.parametrize("text", broken())
def test_broken_messages_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ImageError, match=text) as caught:
        image_from_message(broken()[text])
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted([*ENCODINGS, *PLANAR])),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 60),
    st.binary(max_size=500),
)
def test_any_raw_message_gives_an_image_or_an_image_error(
    encoding: str, w: int, h: int, step: int, data: bytes
) -> None:
    message = SimpleNamespace(
        width=w, height=h, step=step, encoding=encoding, is_bigendian=0, data=data
    )
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
def test_any_compressed_bytes_give_an_image_or_an_image_error(
    kind: str, edits: list, cut: float
) -> None:
    data = bytearray(as_file(scene(), kind))
    for where, value in edits:
        data[int(where * (len(data) - 1))] = value
    try:
        image = image_from_message(compressed(bytes(data[: int(cut * len(data)) + 1])))
    except ImageError:
        return
    assert image.dtype == np.uint8 and image.ndim in (2, 3)
