"""Kernels: their machine code is kept, found and never out of date, and they run after a fork."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gaussvae_ros.kernels.cache import PACKAGE, sources_of

ROOT = PACKAGE.parent
LIBC = ctypes.CDLL(None)
# Of Linux: what lets root write anywhere, and how to do without.
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24
# A picture of no splats is its background, a constant of another module than the kernel's.
DRAW = """if True:
    import numpy as np
    from gaussvae_ros.raster import cpu
    print(cpu.forward(np.zeros((0, 8), np.float32), (8, 8))[0, 0, 0])
"""
FORK = """if True:
    import os, sys
    import numpy as np
    from gaussvae_ros.codec import FrameCodec
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    image = np.uint8(np.stack([4 * x, 5 * y, x + y], axis=-1))
    codec = FrameCodec(device="cpu")
    record = codec.encode(image)
    picture = codec.decode(record)
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    same = codec.encode(image) == record and (codec.decode(record) == picture).all()
    codec.encode(image)
    os._exit(0 if same else 3)
"""
AFTERWARDS = """if True:
    import logging
    from pathlib import Path
    import numpy as np
    from gaussvae_ros.compile import compile_kernels
    compile_kernels()
    said = []
    handler = type("Said", (logging.Handler,), {"emit": lambda self, r: said.append(r)})()
    logging.getLogger("gaussvae_ros").addHandler(handler)
    from gaussvae_ros.kernels import cache
    cache._said = False
    from gaussvae_ros.bank import MemoryBank
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.record import Record, pack
    from gaussvae_ros.sim import building, drive, camera
    from gaussvae_ros.recognition import convolution
    from gaussvae_ros.recognition.graph import graph
    codec = FrameCodec(device="cpu")
    sensor = camera.Sensor(drive.SIZE, drive.FOCAL, 1)
    frame = drive.photograph(building.build(1), sensor, 1.0, 1.0, 0.5, 0.1)
    for image in (frame, frame[..., 1], frame[:40, :40]):
        size, mono = image.shape[1::-1], 128 * (image.ndim == 2)
        old = pack(Record("splats", size, bytes([128, 100, mono])))
        for record in (codec.encode(image, 80), codec.encode(image, 10, "best"), old):
            codec.decode(record), codec.decode(record, (16, 16))
            codec.decode(record, roi=(3, 4, 20, 20))
    later = drive.photograph(building.build(1), sensor, 1.1, 1.0, 0.55, 0.1)
    for first, second in ((frame, later), (frame[..., 1].copy(), later[..., 1].copy())):
        key = codec.encode(first, 60)
        made = codec.predict(second, 40, key)
        codec.decode([key, made.data])
    seen = graph([codec.splats(codec.encode(frame, quality)) for quality in (0, 50)])
    level = seen.levels[0]
    weights = level.edges @ np.ones((level.edges.shape[-1], 4), np.float32)
    convolution.gather(seen.nodes @ np.ones((8, 16), np.float32), weights, level.neighbours)
    with MemoryBank(Path({bank!r})) as bank:
        for look in (bytes(range(64)), 8 * bytes(range(8))):  # of 8 bits, of 4
            bank.add(key, stamp_ns=0, descriptor=look)
            bank.find_like(look)
    assert not said, said[0].getMessage()
"""


@pytest.fixture
def copy(tmp_path):
    """This package elsewhere, with nothing compiled."""
    folder = tmp_path / "copy"
    shutil.copytree(PACKAGE, folder / "gaussvae_ros", ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    for path in (folder, *filter(Path.is_dir, folder.rglob("*"))):
        path.chmod(0o755)


def like_anybody() -> None:
    """Let file modes count for the process that follows, also if root starts it."""
    LIBC.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)


def python(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code in `folder`, without a home."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "HOME": "/proc/nowhere", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=like_anybody,
    )
    assert done.returncode == 0, done.stderr
    return done


def read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def kept(folder: Path) -> set[Path]:
    return set(folder.rglob("*.nbc"))


def test_what_one_process_compiles_the_next_one_finds(copy):
    first, second = python(copy, DRAW), python(copy, DRAW)
    assert (
        first.stderr.splitlines() == ["compiling once, about half a minute"] and second.stderr == ""
    )
    assert first.stdout == second.stdout == "0.5\n" and kept(copy / "gaussvae_ros" / "__pycache__")


def test_where_nothing_can_be_written_it_works_with_one_warning(copy):
    read_only(copy)
    done = python(copy, DRAW)
    assert done.stdout == "0.5\n" and len(done.stderr.splitlines()) == 1
    assert re.match(
        r"compiling, about half a minute, at each start: .*__pycache__.* NUMBA_CACHE_DIR$",
        done.stderr,
    )
    again = python(
        copy, "import gaussvae_ros.fit, gaussvae_ros.entropy.stream, gaussvae_ros.sim.camera"
    )
    assert again.stderr == ""


def test_a_folder_that_can_only_be_read_serves_everybody(copy):
    python(copy, DRAW)
    read_only(copy)
    assert python(copy, DRAW).stderr == ""


def test_a_folder_can_be_named(copy, tmp_path):
    named = tmp_path / "named"
    python(copy, DRAW, NUMBA_CACHE_DIR=str(named))
    assert kept(named) and not kept(copy)
    assert python(copy, DRAW, NUMBA_CACHE_DIR=str(named)).stderr == ""


def test_where_the_package_cannot_be_written_the_users_cache_is_taken(copy, tmp_path):
    read_only(copy)
    home = tmp_path / "home"
    home.mkdir()
    assert python(copy, DRAW, HOME=str(home)).stderr.splitlines() == [
        "compiling once, about half a minute"
    ]
    assert kept(home / ".cache" / "gaussvae_ros")
    assert python(copy, DRAW, HOME=str(home)).stderr == ""


def test_a_change_in_another_module_is_noticed(copy):
    """Also one that leaves a file as long and as old as it was."""
    python(copy, DRAW)
    before, file = kept(copy), copy / "gaussvae_ros" / "raster" / "__init__.py"
    times = file.stat()
    file.write_text(file.read_text().replace("BACKGROUND = 0.5", "BACKGROUND = 0.2"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert python(copy, DRAW).stdout == "0.2\n"
    assert not before & kept(copy), "machine code of older sources is still there"


def test_damaged_machine_code_is_made_anew(copy):
    python(copy, DRAW)
    for i, file in enumerate(sorted(kept(copy))):
        data = file.read_bytes()
        file.write_bytes((data[: len(data) // 2], b"", data[:-100] + bytes(100))[i % 3])
    again = python(copy, DRAW)
    assert again.stdout == "0.5\n" and again.stderr.splitlines() == ["compiling once, some seconds"]
    assert python(copy, DRAW).stderr == ""


def test_the_sources_of_a_kernel_are_all_that_it_is_made_of():
    found = {str(path.relative_to(PACKAGE)) for path in sources_of("gaussvae_ros.fit.adam")}
    assert {
        "fit/adam.py",
        "fit/__init__.py",
        "raster/cpu.py",
        "raster/__init__.py",
        "raster/_simd.py",
    } <= found
    assert {
        "__init__.py",
        "kernels/__init__.py",
        "kernels/compiling.py",
        "kernels/cache.py",
    } <= found
    assert not any(name.startswith(("nodes/", "bank/", "cli/")) for name in found)
    inlined = {str(path.relative_to(PACKAGE)) for path in sources_of("gaussvae_ros.vae.contexts")}
    assert {"vae/contexts.py", "entropy/contexts.py", "vae/__init__.py"} <= inlined


def test_kernels_are_made_in_one_way():
    """By kernels/, that is: what numba itself would keep could be out of date."""
    for file in PACKAGE.rglob("*.py"):
        if file.parent.name != "kernels":
            text = file.read_text()
            assert not re.search(
                r"\bn?jit\(|from numba import .*jit|cache=True", text.replace("triton.jit", "")
            ), file


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_forked_child_encodes_and_decodes(threads):
    """GNU's OpenMP would end it with SIGTERM, or leave it waiting."""
    python(ROOT, FORK, NUMBA_NUM_THREADS=threads, OMP_NUM_THREADS="2")


def test_nothing_is_left_to_compile_for_the_codec_and_the_simulation(tmp_path):
    """In a place where nothing is compiled yet: elsewhere other tests may have done it."""
    code = AFTERWARDS.replace("{bank!r}", repr(str(tmp_path / "m.db")))
    python(ROOT, code, NUMBA_CACHE_DIR=str(tmp_path / "named"))


def test_the_command_says_that_it_compiles_at_once(tmp_path):
    program = "import sys; from gaussvae_ros.cli import main; sys.exit(main())"
    record = ROOT / "test" / "data" / "version1.record"

    def decode() -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", program, "decode", record, "-o", tmp_path / "picture.png"]
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        return subprocess.run(
            [*map(str, command)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    first = decode()
    assert (first.returncode, first.stderr) == (
        0,
        "gaussvae: compiling once, about half a minute\n",
    )
    assert decode().stderr == ""
