"""The encoders of stills and of videos that we compare with, each with its strongest settings.

All are those of one ffmpeg (see `streams`), at a constant quantiser or quality, tuned for PSNR.
"""

from dataclasses import dataclass

SINGLE = "info=0:log-level=none:pools=none:frame-threads=1"  # x265 in one thread, without its SEI


@dataclass(frozen=True)
class Encoder:
    """One encoder of ffmpeg's with its settings."""

    name: str  # ffmpeg's
    muxer: str  # of the bare stream: "obu", "hevc" or "vvc"
    options: tuple[str, ...]  # {q} stands for the quantiser
    coarsest: int  # the quantiser of the fewest bytes; 1 is that of the most
    grey: str  # pixel format of pictures without colour


def _x265(keys: str) -> Encoder:
    options = ("-preset", "medium", "-tune", "psnr", "-crf", "{q}")
    return Encoder("libx265", "hevc", (*options, "-x265-params", f"{keys}:{SINGLE}"), 51, "gray")


def _svt_av1(interval: int) -> Encoder:
    options = ("-preset", "6", "-crf", "{q}", "-g", f"{interval}")
    one = ("-svtav1-params", "tune=1:lp=1")  # PSNR, in one thread
    return Encoder("libsvtav1", "obu", (*options, *one), 63, "yuv420p")


STILLS = {
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
VIDEOS = {
    "x265-10": _x265("keyint=10:min-keyint=10"),  # a key every 10 frames
    "x265": _x265("keyint=-1:scenecut=0"),  # one key for all
    "svt-av1-10": _svt_av1(10),
    "svt-av1": _svt_av1(2**20),
    "vvenc-16": Encoder(
        "libvvenc",
        "vvc",
        ("-preset", "medium", "-qp", "{q}", "-qpa", "0", "-g", "16")
        + ("-vvenc-params", "verbosity=0:gopsize=16:refreshsec=0:intraperiod=16"),
        63,
        "yuv420p",
    ),
}
