"""Stills of AV1, HEVC and VVC as bare payloads: what a decoder needs for one picture, no container.

The encoders are those of the ffmpeg inside the package imageio-ffmpeg (the extra `peers`). Pictures
are BT.601 at full range, 8 bits, 4:2:0, converted here so that all three code the same samples.
"""

import re
import subprocess
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from gaussvae_ros.errors import GaussVaeError

MISSING = "not installed: pip install 'gaussvae_ros[peers]'"


@dataclass(frozen=True)
class Encoder:
    """One encoder of ffmpeg's, at one fixed quantiser a still."""

    name: str  # ffmpeg's
    muxer: str  # of the bare stream
    options: tuple[str, ...]  # {q} stands for the quantiser
    coarsest: int  # the quantiser of the fewest bytes; 1 is that of the most
    grey: str  # pixel format of a picture without colour


ENCODERS = {
    "av1": Encoder(
        "libaom-av1",
        "obu",
        ("-cpu-used", "4", "-g", "1", "-crf", "{q}", "-b:v", "0", "-tune", "psnr"),
        63,
        "gray",
    ),
    "hevc": Encoder(
        "libx265",
        "hevc",
        ("-preset", "slow", "-tune", "psnr")
        + ("-x265-params", "qp={q}:keyint=1:info=0:log-level=none"),
        51,
        "gray",
    ),
    "vvc": Encoder(
        "libvvenc",
        "vvc",
        ("-preset", "medium", "-qp", "{q}", "-qpa", "0", "-g", "1")
        + ("-vvenc-params", "verbosity=0"),
        63,
        "yuv420p",  # libvvenc takes no other; flat chroma costs it a byte or two
    ),
}
# NAL units that a decoder of one still can do without: access unit delimiters, SEI, VPS of VVC.
UNNEEDED = {"hevc": {35, 39, 40}, "vvc": {14, 20, 23, 24}}


@cache
def missing() -> dict[str, str]:
    """The codecs of ENCODERS that cannot be had here, each with the reason."""
    try:
        listed = _ffmpeg(["-encoders"]).decode()
    except GaussVaeError as error:
        return dict.fromkeys(ENCODERS, str(error))
    return {
        codec: f"the ffmpeg of imageio-ffmpeg has no {encoder.name}"
        for codec, encoder in ENCODERS.items()
        if f" {encoder.name} " not in listed
    }


@cache
def version() -> str:
    """Which ffmpeg it is, in its own words."""
    return _ffmpeg(["-version"]).decode().split(" Copyright")[0]


def code(picture: np.ndarray, codec: str, quantiser: int) -> tuple[int, np.ndarray]:
    """Code one picture and decode it again.

    Args:
        picture: uint8 [H, W, 3] RGB or [H, W].
        codec: one of ENCODERS.
        quantiser: the encoder's own, 1 (most bytes) to its `coarsest`.

    Returns:
        Bytes of the payload, and the decoded picture of the same shape.

    Raises:
        GaussVaeError: there is no ffmpeg, or the encoder refuses the picture.
    """
    encoder = ENCODERS[codec]
    height, width = picture.shape[:2]
    even = [(0, height % 2), (0, width % 2), (0, 0)][: picture.ndim]
    padded = np.pad(picture, even, "edge")  # HEVC takes even sizes only
    pixels = "yuv420p" if picture.ndim == 3 else encoder.grey
    planes = _planes(padded) if picture.ndim == 3 else [padded, *_flat(padded, pixels)]
    raw = ["-f", "rawvideo", "-pix_fmt", pixels, "-color_range", "pc"]
    size = f"{padded.shape[1]}x{padded.shape[0]}"
    options = [option.format(q=quantiser) for option in encoder.options]
    stream = _ffmpeg(
        [*raw, "-s", size, "-r", "1", "-i", "pipe:0", "-frames:v", "1", "-pix_fmt", pixels]
        + ["-c:v", encoder.name, *options, "-threads", "1", "-f", encoder.muxer, "pipe:1"],
        b"".join(plane.tobytes() for plane in planes),
    )
    samples = _ffmpeg(
        ["-f", encoder.muxer, "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"],
        stream,
    )
    decoded = _unpack(samples, padded.shape)
    return payload_bytes(stream, codec), decoded[:height, :width]


def payload_bytes(stream: bytes, codec: str) -> int:
    """Bytes of a stream of one still without what its decoder does not need.

    AV1: the temporal delimiter (2 bytes) is left out. HEVC and VVC: start codes, and the units of
    UNNEEDED; parameter sets count, since nothing decodes without them.
    """
    if codec == "av1":
        return len(stream) - 2 * stream.startswith(b"\x12\x00")
    units = [unit.rstrip(b"\0") for unit in re.split(b"\0\0\1", stream)[1:]]
    kinds = [unit[0] >> 1 & 63 if codec == "hevc" else unit[1] >> 3 for unit in units]
    return sum(len(u) for u, kind in zip(units, kinds, strict=True) if kind not in UNNEEDED[codec])


def _ffmpeg(arguments: list[str], data: bytes = b"") -> bytes:
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
