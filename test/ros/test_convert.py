"""Messages to arrays and back: real message classes, cv_bridge against our reader."""

from array import array

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Quaternion
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import image_message, jpeg_message
from sensor_msgs.msg import Image

from gaussvae_ros.bank import Frame, Pose
from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.images.encodings import ENCODINGS, PLANAR
from gaussvae_ros.images.messages import ImageDecoder, image_from_message
from gaussvae_ros.nodes import convert

W, H = 34, 22  # px


def raw(encoding: str, pad: int = 0, big: bool = False, cut: int = 0) -> Image:
    """Random samples of 12 bits or 8; `pad` bytes after each row, the last `cut` left out."""
    channels, sample, _ = ENCODINGS[encoding]
    samples = np.random.default_rng(len(encoding)).integers(
        0, 1 << (8 if sample == 1 else 12), (H, W * channels)
    )
    kind = {1: "u1", 2: ">u2" if big else "<u2"}[sample]
    rows = np.pad(samples.astype(kind).view(np.uint8), ((0, 0), (0, pad)), constant_values=0xEE)
    data = array("B", rows.tobytes()[: rows.size - cut])
    return Image(
        width=W, height=H, encoding=encoding, step=rows.shape[1], is_bigendian=int(big), data=data
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("pad", [0, 2, 5])
@pytest.mark.parametrize("big", [False, True])
def test_every_encoding_through_cv_bridge_is_what_the_offline_reader_gives(
    encoding: str, pad: int, big: bool
) -> None:
    if pad == 5 and ENCODINGS[encoding][1] == 2:
        pad = 6
    message = raw(encoding, pad, big, cut=pad)
    image = convert.image_from(message)
    assert np.array_equal(image, image_from_message(message)) and image.dtype == np.uint8
    assert image.flags.writeable and not np.shares_memory(
        image, np.frombuffer(message.data, np.uint8)
    )


@pytest.mark.parametrize("encoding", PLANAR)
@pytest.mark.parametrize("pad", [0, 2])
def test_planar_encodings_too(encoding: str, pad: int) -> None:
    size = (W + pad) * H * 3 if encoding == "nv24" else (W + pad) * H * 3 // 2
    data = array("B", np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes())
    message = Image(width=W, height=H, encoding=encoding, step=W + pad, data=data)
    image = convert.image_from(message)
    assert image.shape == (H, W, 3) and np.array_equal(image, image_from_message(message))


def test_a_topic_keeps_the_brightness_of_its_deep_images() -> None:
    decoder, bright, dark = ImageDecoder(), raw("mono16"), raw("mono16")
    dark.data = array("B", (np.frombuffer(dark.data, "<u2") >> 4).tobytes())
    first, second = convert.image_from(bright, decoder), convert.image_from(dark, decoder)
    assert np.array_equal(second, first >> 4)


def test_colours_come_out_right() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :3, 0], image[:, 3:, 2] = 200, 100
    assert np.array_equal(convert.image_from(image_message(image, 0)), image)
    assert np.array_equal(
        convert.image_from(image_message(image[..., ::-1].copy(), 0, encoding="bgr8")), image
    )
    assert np.array_equal(convert.image_from(image_message(image[..., 0].copy(), 0)), image[..., 0])
    smooth = cv2.resize(image, (96, 64), interpolation=cv2.INTER_LINEAR)
    assert np.abs(convert.image_from(jpeg_message(smooth, 0)).astype(int) - smooth).mean() < 3


@pytest.mark.parametrize(
    "change, text",
    [
        ({"encoding": "32FC1"}, "is not supported"),
        ({"encoding": ""}, "is not supported"),
        ({"height": H + 1}, "is truncated"),
        ({"width": 2**31}, "bytes a row"),
        ({"step": 0}, "bytes a row"),
        ({"height": 2**32 - 1}, "is truncated"),
        ({"width": 0}, "empty size"),
        ({"data": array("B")}, "is truncated"),
    ],
)
def test_broken_messages_are_refused_before_cv_bridge(change: dict, text: str) -> None:
    message = raw("rgb8")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=text) as caught:
        convert.image_from(message)
    assert "\n" not in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([*sorted(ENCODINGS), *PLANAR, "16SC3", "nonsense"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 60),
    st.integers(0, 1),
    st.binary(max_size=500),
)
def test_any_message_gives_an_image_or_an_image_error(
    encoding: str, w: int, h: int, step: int, big: int, data: bytes
) -> None:
    message = Image(
        width=w, height=h, step=step, encoding=encoding, is_bigendian=big, data=array("B", data)
    )
    try:
        expected = image_from_message(message)
    except ImageError as error:
        with pytest.raises(ImageError) as caught:
            convert.image_from(message)
        assert str(caught.value) == str(error)
    else:
        assert np.array_equal(convert.image_from(message), expected)


def test_a_cv_bridge_that_does_not_load_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv_bridge

    def broken(self: object, encoding: str) -> None:
        raise SystemError("initialization of cv_bridge_boost raised unreported exception")

    monkeypatch.setattr(cv_bridge.CvBridge, "encoding_to_cvtype2", broken)
    convert.load_bridge.cache_clear()
    with pytest.raises(GaussVaeError, match="cv_bridge cannot be used with numpy .* need numpy<2"):
        convert.image_from(raw("rgb8"))
    monkeypatch.undo()
    assert convert.image_from(raw("rgb8")).shape == (H, W, 3)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_to_messages(encoding: str, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = image if channels == 3 else image[..., 0].copy()
    message = convert.to_image(image, encoding, convert.header(5, "front"))
    assert message.header.frame_id == "front" and message.header.stamp == Time(nanosec=5)
    assert (message.width, message.height, message.encoding) == (7, 5, encoding)
    assert isinstance(message.data, array) and len(message.data) == message.step * 5
    back = convert.image_from(message)
    if encoding == "mono8":
        weights = np.array([0.299, 0.587, 0.114]) if channels == 3 else 1  # BT.601
        expected = (image * weights).sum(-1) if channels == 3 else image
        assert back.shape == (5, 7) and np.abs(back - expected).max() <= 1
    else:
        assert np.array_equal(back, image if channels == 3 else np.dstack([image] * 3))


def test_pictures_to_jpeg() -> None:
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8), (160, 120))
    for picture in (image, image[..., 0].copy()):
        message = convert.to_jpeg(picture, convert.header(5, "front"))
        assert (
            message.format == "jpeg"
            and isinstance(message.data, array)
            and message.header.stamp.nanosec == 5
        )
        back = convert.image_from(message)
        assert back.shape == picture.shape and np.abs(back.astype(int) - picture).mean() < 4


@given(st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
def test_stamps_survive(ns: int) -> None:
    time = convert.to_time(ns)
    assert 0 <= time.nanosec < 10**9 and convert.stamp_ns(time) == ns


@pytest.mark.parametrize("ns, end", [(2**63 - 1, 2**31 * 10**9 - 1), (-(2**63), -(2**31) * 10**9)])
def test_stamps_beyond_time_become_its_end(ns: int, end: int) -> None:
    assert convert.stamp_ns(convert.to_time(ns)) == end


def test_durations() -> None:
    assert convert.stamp_ns(Duration(sec=-1, nanosec=500_000_000)) == -500_000_000


def test_memory_frames() -> None:
    pose = Pose(1.0, 2.0, 3.0, 0.0, 0.6, 0.0, 0.8, "odom")
    frame = Frame(
        7,
        12_000_000_034,
        "front",
        2,
        (640, 480),
        "latent",
        "dock",
        pose,
        b"x" * 500,
        "front_optical_frame",
        map_id="ground floor",
    )
    message = convert.memory_frame(frame, 15_500_000_034)
    assert message.map_id == "ground floor" and message.age == Duration(sec=3, nanosec=500_000_000)
    assert (message.header.stamp, message.header.frame_id) == (
        Time(sec=12, nanosec=34),
        "front_optical_frame",
    )
    assert (message.id, message.camera, message.session, message.width, message.height) == (
        7,
        "front",
        2,
        640,
        480,
    )
    assert (message.tier, message.bytes, message.label, message.has_pose) == (
        "latent",
        500,
        "dock",
        True,
    )
    assert (message.pose.header.stamp, message.pose.header.frame_id) == (
        message.header.stamp,
        "odom",
    )
    assert message.pose.pose.position == Point(x=1.0, y=2.0, z=3.0)
    assert message.pose.pose.orientation == Quaternion(x=0.0, y=0.6, z=0.0, w=0.8)
    bare = convert.memory_frame(Frame(8, 0, "front", 2, (4, 4), "splats", None, None, b""), -1)
    assert bare.age == Duration(sec=-1, nanosec=999_999_999) and bare.map_id == ""
    assert (bare.label, bare.has_pose, bare.header.frame_id) == ("", False, "")
