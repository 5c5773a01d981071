"""How soon a fresh process is ready: to encode its first frame, and to recall one."""

import statistics
from pathlib import Path

import numpy as np

from gaussvae_ros.bench.rows import PEAK_MB, in_fresh_process, row
from gaussvae_ros.codec import FrameCodec

TIMES = 3
SIZE = (640, 480)  # (w, h) px
ENCODE = """if True:
    import json, time
    begun = time.perf_counter()
    import constriction, cv2, numba, numpy
    packages = time.perf_counter()
    from gaussvae_ros.codec import FrameCodec
    imported = time.perf_counter()
    image = numpy.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(numpy.uint8)
    codec, times = FrameCodec(), [time.perf_counter()]
    for _ in range(2):
        codec.decode(codec.encode(image))
        times.append(time.perf_counter())
    frames = times[1] - times[0], times[2] - times[1]
    print(json.dumps([packages - begun, imported - begun, *frames]))
"""
RECALL = f"""if True:
    import json, sys, time
    begun = time.perf_counter()
    from gaussvae_ros.codec import FrameCodec
    codec, data = FrameCodec(), open(sys.argv[1], "rb").read()
    codec.decode(data)
    first = time.perf_counter()
    codec.decode(data)
    second = time.perf_counter()
    print(json.dumps([first - begun, second - first, {PEAK_MB}]))
"""


def run(folder: Path) -> list[dict]:
    """Start Python several times; the first run fills numba's cache and does not count."""
    image = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3)).astype(np.uint8)
    record = folder / "frame.record"
    record.write_bytes(FrameCodec().encode(image))
    packages, imported, first, second = _medians(ENCODE)
    recalled, again, megabytes = _medians(RECALL, record)
    name = "start: import of gaussvae_ros.codec, beside that of its packages"
    return [
        row(name, imported, "s", "at most 3", packages),
        row(
            "start: first frame there and back, beside the second", first, "s", "at most 2", second
        ),
        row(
            "start: import and first recall, beside the second", recalled, "s", "at most 0.6", again
        ),
        row("start: memory of a process that recalls", megabytes, "MB", "at most 200"),
    ]


def _medians(code: str, *args: object) -> list[float]:
    runs = [in_fresh_process(code, *args) for _ in range(1 + TIMES)][1:]
    return [round(statistics.median(values), 3) for values in zip(*runs)]
