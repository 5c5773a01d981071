"""The time to reach one frame of a sequence at random: in our memory file, and in x265's MP4."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.evaluation import streams
from gaussvae_ros.evaluation.encoders import VIDEOS
from gaussvae_ros.evaluation.fronts import Coded, nearest
from gaussvae_ros.evaluation.peers import enlarge, shrink

PICKS = 40  # frames, each reached once
SEEKING = ("x265-10", "x265")  # the peers that a file is made of


def why_no_seeking() -> str:
    """Why videos cannot be read at random here, empty if they can."""
    try:
        import av  # noqa: F401
    except ImportError:
        return streams.MISSING
    return ""


def reach_times(
    frames: Sequence[np.ndarray],
    records: Sequence[Sequence[bytes]],  # as `video.records_of` gives them
    decode: Callable[[Sequence[bytes]], np.ndarray],  # what a frame's records show
    fronts: Mapping[str, Sequence[Coded]],  # by peer; those of SEEKING count
    size: float,  # bytes a frame of the files of peers, or near it
) -> list[dict]:
    """Times to reach PICKS frames at random, cold: each time the file is opened anew.

    Ours opens the memory file, reads the frame's records and decodes them; a peer's opens an MP4,
    seeks the key before the frame and decodes to it, through PyAV, as RGB at the frame's size. They
    take turns, frame by frame.

    Returns:
        A dict for each: "codec", "bytes" (a frame), "median_ms" and "p95_ms".
    """
    with tempfile.TemporaryDirectory(prefix="gaussvae_") as folder:
        ways = {"gaussvae": _ours(Path(folder) / "memory.db", records, decode)}
        sizes = {"gaussvae": sum(len(r[-1]) for r in records) / len(records)}
        for codec in (c for c in SEEKING if fronts.get(c) and not why_no_seeking()):
            point = nearest(fronts[codec], size)
            ways[codec] = _theirs(f"{folder}/{codec}.mp4", frames, codec, point)
            sizes[codec] = point.bytes
        times = {codec: [] for codec in ways}
        picks = np.random.default_rng(0).integers(0, len(frames), PICKS)
        for turn, number in enumerate([picks[0], *picks.tolist()]):
            for codec, reach in ways.items():
                begun = time.perf_counter()
                reach(int(number))
                if turn:  # the first loads what stays loaded
                    times[codec].append(1e3 * (time.perf_counter() - begun))
    return [
        {"codec": c, "bytes": sizes[c]}
        | {"median_ms": float(np.median(t)), "p95_ms": float(np.percentile(t, 95))}
        for c, t in times.items()
    ]


def read_frame(path: str, number: int) -> np.ndarray:
    """One frame of a video whose frames follow at streams.RATE, uint8 [H, W, 3] RGB.

    It seeks the key before the frame and decodes from there; where frames before a key need what
    comes before it, from one key earlier.
    """
    import av

    with av.open(path) as video:
        stream = video.streams.video[0]
        stream.thread_type = "AUTO"  # the fastest of PyAV's ways
        wanted = round(number / (streams.RATE * stream.time_base))
        for target in (wanted, max(wanted - round(1 / stream.time_base), 0), 0):
            video.seek(target, stream=stream)
            for frame in video.decode(stream):
                if frame.pts == wanted:
                    return frame.to_ndarray(format="rgb24")
                if frame.pts > wanted:
                    break
    raise ValueError(f"{path} has no frame {number}")


def _ours(path: Path, records: Sequence[Sequence[bytes]], decode: Callable) -> Callable:
    with MemoryBank(path) as bank:
        ids = [
            bank.add(own, stamp_ns=n * 10**9 // streams.RATE, reference=needed)
            for n, (*needed, own) in enumerate(records)
        ]

    def reach(number: int) -> np.ndarray:
        with MemoryBank(path, readonly=True) as bank:
            return decode(bank.get(ids[number]).records)

    return reach


def _theirs(path: str, frames: Sequence[np.ndarray], codec: str, point: Coded) -> Callable:
    small = [shrink(frame, point.scale) for frame in frames]
    streams.encode(small, VIDEOS[codec], int(point.quality), mp4=path)
    height, width = small[0].shape[:2]

    def reach(number: int) -> np.ndarray:
        picture = read_frame(path, number)[:height, :width]
        return enlarge(picture, (*frames[0].shape[:2], 3))

    return reach
