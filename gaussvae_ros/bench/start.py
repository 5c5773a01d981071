"""How soon a fresh process is ready: import of the codec, and the first frame there and back."""

import statistics
from pathlib import Path

from gaussvae_ros.bench.rows import in_fresh_process, row

TIMES = 3
CODE = """if True:
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
    print(json.dumps([packages - begun, imported - begun, times[1] - times[0], times[2] - times[1]]))
"""


def run(folder: Path) -> list[dict]:
    """Start Python several times; the first run fills numba's cache and does not count."""
    runs = [in_fresh_process(CODE) for _ in range(1 + TIMES)][1:]
    packages, imported, first, second = (round(statistics.median(values), 3) for values in zip(*runs))
    return [
        row("start: import of gaussvae_ros.codec, beside that of its packages", imported, "s", "at most 3", packages),
        row("start: first frame there and back, beside the second", first, "s", "at most 2", second),
    ]
