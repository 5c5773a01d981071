"""The threads that the kernels run in."""

import subprocess
import sys

import pytest

CODE = """
import {first}
import numba, numpy
from gaussvae_ros.codec import FrameCodec
FrameCodec().encode(numpy.zeros((32, 32, 3), numpy.uint8), tier="splats", quality=0)
print(numba.threading_layer())
"""


@pytest.mark.parametrize("first", ["gaussvae_ros.codec", "numba", "gaussvae_ros.vae", "gaussvae_ros.bank"])
def test_whatever_is_imported_first_the_kernels_do_not_run_in_tbb(first):
    done = subprocess.run([sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("omp", "workqueue")
