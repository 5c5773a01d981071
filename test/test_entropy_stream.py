"""Records of the splats tier, which are read for ever: what they hold, on any machine, damaged."""

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from grids import IMAGES, decoded, fields, random_grid
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_entropy_grid import USED

from gaussvae_ros.entropy import grid, stream
from gaussvae_ros.entropy.coder import Meter, Reader
from gaussvae_ros.errors import RecordError
from gaussvae_ros.record import MAX_SIDE
from gaussvae_ros.splats import LOG_S1, LOG_S2

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 30.0  # for the worst stream, of the processor


@settings(max_examples=60, deadline=None)
@given(
    IMAGES,
    st.integers(1, 200),
    st.sampled_from([0, *USED, 255]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
@example((MAX_SIDE, 1), 64, 128, 3, 0)
@example((1, 1), 1, 128, 1, 0)
def test_a_record_holds_its_grid(size, n, precision, channels, seed):
    g = random_grid(np.random.default_rng(seed), size, n, precision, channels)
    payload = stream.write(g)
    assert fields(decoded(payload, size)) == fields(g)
    splats = grid.to_splats(stream.read(payload, size))
    assert splats.size == size and np.array_equal(splats.params, grid.to_splats(g).params)


def test_the_largest_record_comes_back():
    g = random_grid(np.random.default_rng(0), (3840, 2160), stream.MOST_SPLATS)
    assert fields(decoded(stream.write(g), g.size)) == fields(g)


def test_the_header():
    g = random_grid(np.random.default_rng(0), n=300, precision=140)
    assert stream.write(g)[:3] == bytes([140, 300 & 255, 300 >> 8])
    g.colour = g.colour[:, :1]
    assert stream.write(g)[:3] == bytes([140, 300 & 255, 300 >> 8 | 0x80])


def test_the_meter_weighs_what_the_writer_writes():
    for seed, channels in ((0, 3), (1, 1)):
        g, meter = random_grid(np.random.default_rng(seed), n=512, channels=channels), Meter()
        assert stream.code(meter, g.size, 512, g.precision, channels, g).cell is not None
        colours = {f"colour{k}" for k in range(channels)}
        assert meter.bits.keys() == {"cells", "scale", "aspect", "angle", "shifts"} | colours
        assert 8 * (len(stream.write(g)) - 3) == pytest.approx(sum(meter.bits.values()), rel=0.01)


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\x10"])
def test_a_payload_without_a_header(payload):
    with pytest.raises(RecordError, match="header"):
        stream.read(payload, (640, 480))


@pytest.mark.parametrize("count", [0, 0x8000, 0x2001, 0x7FFF, 0xFFFF])
def test_a_number_of_splats_that_cannot_be(count):
    with pytest.raises(RecordError, match="splats"):
        stream.read(b"\x80" + count.to_bytes(2, "little") + bytes(100), (640, 480))


@pytest.mark.parametrize("part, text", [("cells", "positions"), ("angle", "angles")])
def test_symbols_that_have_no_probability(part, text):
    """The coder leaves a sliver to each symbol of a table, also beyond the end of a row."""

    class Liar(Reader):
        def symbols(self, values, probabilities):
            right = super().symbols(values, probabilities)
            impossible = (probabilities[:, -1] == 0) & (self.part == part)
            return np.where(impossible, probabilities.shape[1] - 1, right)

    g = random_grid(np.random.default_rng(0))
    with pytest.raises(RecordError, match=text):
        stream.code(Liar(stream.write(g)[3:]), g.size, len(g.cell), g.precision, 3, None)


@settings(max_examples=150, deadline=None)
@given(IMAGES, st.integers(0, 255), st.integers(1, 600), st.booleans(), st.binary(max_size=1500))
def test_any_bytes_are_splats_or_an_error(size, precision, n, mono, body):
    count = n | stream.MONO * mono
    _read(bytes([precision]) + count.to_bytes(2, "little") + body, size)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 255), IMAGES)
def test_altered_records_are_splats_or_an_error(seed, precision, size):
    rng = np.random.default_rng(seed)
    payload = bytearray(stream.write(random_grid(rng, (640, 480), 100, precision)))
    payload[rng.integers(3, len(payload))] ^= 1 << rng.integers(8)
    _read(bytes(payload), size)


def _read(payload, size):
    begun = time.process_time()
    try:
        p = grid.to_splats(stream.read(payload, size)).params
        assert (
            np.isfinite(p).all() and np.isfinite(np.exp(p[:, [LOG_S1, LOG_S2]], dtype=float)).all()
        )
    except RecordError as error:
        assert str(error) and "\n" not in str(error)
    assert time.process_time() - begun < MOST_SECONDS


@pytest.mark.parametrize(
    "size", [(1, 1), (MAX_SIDE, 1), (1, MAX_SIDE), (MAX_SIDE, MAX_SIDE), (640, 480)]
)
def test_time_and_memory_are_bounded(size):
    """The most splats; streams that heap them in one place, spread them, or are noise."""
    noise = np.random.default_rng(0).bytes(30000)
    tracemalloc.start()
    for body in (b"", b"\xff" * 30000, noise):
        for precision in (0, 128, 255):
            _read(bytes([precision, 0, 0x20]) + body, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


# Other machines


DIGEST = """if True:
    import hashlib, sys
    import numpy as np
    sys.path.insert(0, "test")
    from grids import decoded, fields, random_grid
    from gaussvae_ros.entropy import stream
    from gaussvae_ros.errors import RecordError
    digest, rng = hashlib.sha256(), np.random.default_rng(5)
    for size, n, channels in (((640, 480), 512, 3), ((97, 333), 70, 1), ((65535, 2), 40, 3)):
        digest.update(stream.write(random_grid(rng, size, n, 124 + n % 8, channels)))
    for _ in range(9):  # what random bytes say, be it an error
        try:
            said = fields(decoded(bytes([128, 100, 0]) + rng.bytes(700), (640, 480)))
        except RecordError as error:
            said = error
        digest.update(str(said).encode())
    print(digest.hexdigest())
"""


def digest(**environment) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIGEST],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_machine_changes_no_bit(tmp_path):
    """One thread, code compiled anew without vector units, and numpy's plain functions."""
    plain = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    plain["NPY_DISABLE_CPU_FEATURES"] = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"
    assert digest(NUMBA_NUM_THREADS="1", **plain) == digest()
    assert any(tmp_path.rglob("*.nbc"))
