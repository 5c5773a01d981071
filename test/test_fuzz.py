"""Decoding whatever comes: a picture or a GaussVaeError, in bounded time and memory."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from grids import random_grid
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.entropy import stream
from gaussvae_ros.errors import GaussVaeError, RecordError
from gaussvae_ros.record import TIERS, Record, pack, unpack

CODEC = FrameCodec(device="cpu")
CODEC.encode(np.zeros((9, 9), np.uint8))  # loads the model, which takes its time
MOST_SECONDS = 30.0  # for a picture of at most 200x200 px, of the processor
SIDES = st.one_of(st.integers(1, 200), st.sampled_from([1, 2, 65535]))


@pytest.fixture(scope="module")
def records():
    """Two of either kind; those of splats as earlier releases wrote them."""
    rng = np.random.default_rng(0)
    old = [
        pack(Record("splats", g.size, stream.write(g)))
        for g in (random_grid(rng, (64, 48), 128), random_grid(rng, (64, 48), 128, channels=1))
    ]
    images = rng.integers(0, 256, (2, 48, 64, 3)).astype(np.uint8)
    return [*old, CODEC.encode(images[0], 25), CODEC.encode(images[1][..., 0], 50)]


def decode(data: bytes, size: tuple[int, int] | None = None) -> np.ndarray | None:
    """The picture, or None if it was refused as it should be."""
    begun = time.thread_time()
    try:
        image = CODEC.decode(data, size)
        assert image.dtype == np.uint8 and image.ndim in (2, 3) and image.size
        return image
    except GaussVaeError as error:
        assert str(error) and "\n" not in str(error)
        return None
    finally:
        assert time.thread_time() - begun < MOST_SECONDS


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
@example(b"\xa5")
@example(b"\xa5\x10" + bytes(8))
def test_random_bytes(data):
    assert decode(data) is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_flipped_bits_are_always_found(records, data):
    record = bytearray(records[data.draw(st.integers(0, 3))])
    for bit in data.draw(st.sets(st.integers(0, 8 * len(record) - 1), min_size=1, max_size=3)):
        record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RecordError):
        CODEC.decode(bytes(record))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_truncated_and_extended_records_are_always_found(records, data):
    record = records[data.draw(st.integers(0, 3))]
    at = data.draw(st.integers(1, len(record) - 1))
    for changed in (
        record[:at],
        record[at:],
        record + data.draw(st.binary(min_size=1, max_size=20)),
        record[:at] * 2,
    ):
        with pytest.raises(RecordError):
            CODEC.decode(changed)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TIERS), SIDES, SIDES, st.binary(max_size=400), st.booleans())
def test_random_payloads_with_a_right_checksum(tier, width, height, payload, small):
    image = decode(pack(Record(tier, (width, height), payload)), (60, 40) if small else None)
    assert image is None or image.shape[:2] == ((40, 60) if small else (height, width))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_altered_payloads_with_a_right_checksum(records, data):
    """Most of the stream makes sense, so that the damage reaches every stage of the decoder."""
    record = unpack(records[data.draw(st.integers(0, 3))])
    payload = bytearray(record.payload)
    for at in data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=4)):
        payload[at] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))] + data.draw(st.binary(max_size=20))
    size = data.draw(SIDES), data.draw(SIDES)
    decode(pack(Record(record.tier, size, bytes(payload))), (100, 80))


def test_the_worst_payloads_stay_within_time_and_memory():
    """Every precision, the most splats, all kinds of streams, the smallest and largest frames."""
    code = """if True:
        import resource, time
        import numpy as np
        from gaussvae_ros.codec import FrameCodec
        from gaussvae_ros.errors import GaussVaeError
        from gaussvae_ros.record import Record, pack
        codec, rng, longest = FrameCodec(), np.random.default_rng(0), 0.0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for k in range(24):
            counts = (0x2000, 0x2000, 0xA000)[k % 3].to_bytes(2, "little")
            head = bytes([(0, 64, 128, 160, 200, 255)[k % 6]]) + counts
            body = (b"", bytes(4000), b"\\xff" * 4000, rng.bytes(20000))[k % 4]
            size = ((640, 480), (65535, 65535), (1, 1), (65535, 1), (8192, 8192))[k % 5]
            begun = time.perf_counter()
            try:
                codec.decode(pack(Record("splats", size, head + body)), (640, 480))
            except GaussVaeError:
                pass
            longest = max(longest, time.perf_counter() - begun)
        print(longest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 20
    assert kilobytes < 1 << 20
