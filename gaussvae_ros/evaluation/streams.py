"""Frames as bare streams of video encoders: what their decoder needs, without any container.

The encoders are those of the ffmpeg inside the package imageio-ffmpeg (the extra `peers`). Pictures
are BT.601 at full range, 8 bits, 4:2:0, converted here so that all encoders code the same samples.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import cv2
import numpy as np

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation.encoders import Encoder
from gaussvae_ros.extras import install

MISSING = f"not installed: {install('peers')}"
RATE = 10  # frames a second, as the encoders are told


# NAL units that a decoder can do without: access unit delimiters, SEI, VPS of VVC; and those that
# count once, however often they are repeated: parameter sets, for which a container has one place.
UNNEEDED = {"hevc": {35, 39, 40}, "vvc": {14, 20, 23, 24}}
ONCE = {"hevc": {32, 33, 34}, "vvc": {15, 16, 17, 18}}
DELIMITER, SEQUENCE_HEADER = 2, 1  # kinds of OBUs


@cache
def listed() -> str:
    """What ffmpeg says of its encoders. Raises GaussVaeError where there is no ffmpeg."""
    return run(["-encoders"]).decode()


@cache
def version() -> str:
    """Which ffmpeg it is, in its own words."""
    return run(["-version"]).decode().split(" Copyright")[0]


def missing(encoders: Mapping[str, Encoder]) -> dict[str, str]:
    """Those of some encoders that cannot be had here, each with the reason."""
    try:
        there = listed()
    except GaussVaeError as error:
        return dict.fromkeys(encoders, str(error))
    return {
        codec: f"the ffmpeg of imageio-ffmpeg has no {encoder.name}"
        for codec, encoder in encoders.items()
        if f" {encoder.name} " not in there
    }


def encode(
    frames: Sequence[np.ndarray], encoder: Encoder, quantiser: int, mp4: str | None = None
) -> bytes:
    """The stream of one still, or of a video.

    Args:
        frames: uint8 [H, W, 3] RGB or [H, W], all of one shape.
        quantiser: the encoder's own, 1 (most bytes) to its `coarsest`.
        mp4: a file to write the same video into instead, in a container; nothing comes back.

    Raises:
        GaussVaeError: there is no ffmpeg, or the encoder refuses the frames.
    """
    pixels = _pixels(encoder, frames[0].ndim)
    height, width = _even(frames[0].shape)
    raw = ["-f", "rawvideo", "-pix_fmt", pixels, "-color_range", "pc", "-s", f"{width}x{height}"]
    options = [option.format(q=quantiser) for option in encoder.options]
    out = ["-f", "mp4", "-y", mp4] if mp4 else ["-f", encoder.muxer, "pipe:1"]
    return run(
        [*raw, "-r", str(RATE), "-i", "pipe:0", "-pix_fmt", pixels, "-c:v", encoder.name]
        + [*options, "-threads", "1", *out],
        b"".join(_samples(frame, pixels) for frame in frames),
    )


def decode(stream: bytes, encoder: Encoder, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The frames of a stream, each of `shape` as those that it was made of."""
    pixels = _pixels(encoder, len(shape))
    samples = run(
        ["-threads", "1", "-f", encoder.muxer, "-i", "pipe:0", "-fps_mode", "passthrough"]
        + ["-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"],
        stream,
    )
    height, width = _even(shape)
    step = height * width if pixels == "gray" else height * width * 3 // 2
    for begin in range(0, len(samples), step):
        picture = _unpack(samples[begin : begin + step], (height, width, *shape[2:]))
        yield picture[: shape[0], : shape[1]]


def payload_bytes(stream: bytes, muxer: str) -> int:
    """Bytes of a stream without what its decoder does not need.

    AV1: without temporal delimiters, a repeated sequence header once. HEVC and VVC: without start
    codes and the units of UNNEEDED, repeated parameter sets once. Those count, since nothing
    decodes without them.
    """
    if muxer == "obu":
        parts = [(o[0] >> 3 & 15, o) for o in _obus(stream)]
        unneeded, once = {DELIMITER}, {SEQUENCE_HEADER}
    else:
        units = [unit.rstrip(b"\0") for unit in re.split(b"\0\0\1", stream)[1:]]
        parts = [(u[0] >> 1 & 63 if muxer == "hevc" else u[1] >> 3, u) for u in units]
        unneeded, once = UNNEEDED[muxer], ONCE[muxer]
    repeated = {part for kind, part in parts if kind in once}
    each = (len(part) for kind, part in parts if kind not in unneeded | once)
    return sum(map(len, repeated)) + sum(each)


def run(arguments: list[str], data: bytes = b"") -> bytes:
    """What ffmpeg writes to its output, given `data`. Raises GaussVaeError where it fails."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        program = get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise GaussVaeError(MISSING) from error
    command = [program, "-hide_banner", "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise GaussVaeError(f"ffmpeg failed: {lines[0]}")
    return done.stdout


def _obus(stream: bytes) -> Iterator[bytes]:
    """The open bitstream units of AV1, each with its header and size field."""
    begin = 0
    while begin < len(stream):
        place, size, shift = begin + 1 + (stream[begin] >> 2 & 1), 0, 0
        while True:  # leb128
            size |= (stream[place] & 127) << shift
            place, shift = place + 1, shift + 7
            if not stream[place - 1] & 128:
                break
        yield stream[begin : place + size]
        begin = place + size


def _pixels(encoder: Encoder, ndim: int) -> str:
    return "yuv420p" if ndim == 3 else encoder.grey


def _even(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0] + shape[0] % 2, shape[1] + shape[1] % 2  # HEVC takes even sizes only


def _samples(frame: np.ndarray, pixels: str) -> bytes:
    height, width = frame.shape[:2]
    padded = np.pad(frame, [(0, height % 2), (0, width % 2), (0, 0)][: frame.ndim], "edge")
    planes = _planes(padded) if frame.ndim == 3 else [padded, *_flat(padded, pixels)]
    return b"".join(plane.tobytes() for plane in planes)


def _planes(picture: np.ndarray) -> list[np.ndarray]:
    """Y, Cb and Cr of an RGB picture of even size, chroma at half size."""
    red, green, blue = np.moveaxis(np.float32(picture), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    half = luma.shape[1] // 2, luma.shape[0] // 2
    chroma = (cv2.resize(c, half, interpolation=cv2.INTER_AREA) for c in
              ((blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128))  # fmt: skip
    return [np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in (luma, *chroma)]


def _flat(luma: np.ndarray, pixels: str) -> list[np.ndarray]:
    return [] if pixels == "gray" else [np.full(luma.size // 2, 128, np.uint8)]


def _unpack(samples: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The picture of decoded planes: uint8 of `shape`."""
    height, width = shape[:2]
    values = np.frombuffer(samples, np.uint8)
    luma, chroma = values[: height * width].reshape(height, width), values[height * width :]
    if len(shape) == 2:
        return luma
    blue, red = (
        cv2.resize(np.float32(c), (width, height), interpolation=cv2.INTER_CUBIC) - 128
        for c in chroma.reshape(2, height // 2, width // 2)
    )
    luma = np.float32(luma)
    rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.clip(np.rint(np.stack(rgb, 2)), 0, 255).astype(np.uint8)
