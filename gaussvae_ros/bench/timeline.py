"""How long the page of a large memory takes to write, how large it is, and what that needs."""

import math
from pathlib import Path

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bench.frames import drive_frames
from gaussvae_ros.bench.rows import PEAK_MB, in_fresh_process, row
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.recognition.places import describe

FRAMES = 10_000
DIFFERENT = 120  # among them, more than the codec remembers, so that each is decoded
PERIOD = 100_000_000  # ns between frames
CODE = f"""if True:
    import json, os, sys, time
    from gaussvae_ros.bank import MemoryBank
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.timeline import write_timeline
    begun = time.perf_counter()
    with MemoryBank(sys.argv[1], readonly=True) as bank:
        done = write_timeline(sys.argv[2], bank, FrameCodec(), processes=os.cpu_count())
    print(json.dumps([time.perf_counter() - begun, done["bytes"] / 1e6, {PEAK_MB}]))
"""


def run(folder: Path) -> list[dict]:
    """Write the page of 10,000 frames of the simulated drive, in a process of its own."""
    codec, drive = FrameCodec(), drive_frames(DIFFERENT)
    records = list(zip(codec.encode_many(drive), [describe(image).tobytes() for image in drive]))
    with MemoryBank(folder / "memory.db") as bank:
        for i in range(FRAMES):
            angle = 2 * math.pi * i / 1000
            data, like = records[i % DIFFERENT]
            pose = Pose((9 + i / FRAMES) * math.cos(angle), 9 * math.sin(angle), 0.5)
            bank.add(data, stamp_ns=i * PERIOD, pose=pose, descriptor=like)
    seconds, size, memory = in_fresh_process(CODE, folder / "memory.db", folder / "page.html")
    name = f"timeline: page of {FRAMES:,} frames"
    return [
        row(f"{name}, written", round(seconds, 1), "s", "at most 60"),
        row(f"{name}, size", round(size, 1), "MB", "at most 40"),
        row(f"{name}, most memory held", round(memory), "MB"),
    ]
