"""How soon a fresh process is ready: import of the codec, and the first frame there and back."""

import statistics
from pathlib import Path

from gaussvae_ros.bench.rows import in_fresh_process, row
from gaussvae_ros.record import TIERS

TIMES = 3
CODE = """if True:
    import json, sys, time
    begun = time.perf_counter()
    import constriction, cv2, numba, numpy
    packages = time.perf_counter()
    from gaussvae_ros.codec import FrameCodec
    imported = time.perf_counter()
    image = numpy.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(numpy.uint8)
    codec, times = FrameCodec(), [time.perf_counter()]
    for _ in range(2):
        codec.decode(codec.encode(image, sys.argv[1]))
        times.append(time.perf_counter())
    frames = times[1] - times[0], times[2] - times[1]
    print(json.dumps([packages - begun, imported - begun, *frames]))
"""


def run(folder: Path) -> list[dict]:
    """Start Python several times; the first run fills numba's cache and does not count."""
    rows = []
    for tier in TIERS:
        runs = [in_fresh_process(CODE, tier) for _ in range(1 + TIMES)][1:]
        packages, imported, first, second = (
            round(statistics.median(values), 3) for values in zip(*runs)
        )
        if not rows:
            name = "start: import of gaussvae_ros.codec, beside that of its packages"
            rows.append(row(name, imported, "s", "at most 3", packages))
        target = "at most 2"
        rows.append(
            row(
                f"start: first frame there and back, {tier}, beside the second",
                first,
                "s",
                target,
                second,
            )
        )
    return rows
