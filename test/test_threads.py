"""The threads that the kernels, and libraries around them, run in."""

import os
import subprocess
import sys

import pytest
from threaded import kernel_threads

from gaussvae_ros import kernels
from gaussvae_ros.threads import VARIABLES

ENCODE = """
import {first}
import numba, numpy, os
from gaussvae_ros.codec import FrameCodec
codec = FrameCodec()
codec.decode(codec.encode(numpy.zeros((480, 640, 3), numpy.uint8), quality=0))
"""


def python(code: str, **environment: str) -> str:
    """What code prints, where nothing is said about threads but `environment`."""
    unset = (*VARIABLES, "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER_PRIORITY")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "first", ["gaussvae_ros.codec", "numba", "gaussvae_ros.vae", "gaussvae_ros.bank"]
)
def test_whatever_is_imported_first_the_kernels_do_not_run_in_tbb(first):
    layer = python(
        ENCODE.format(first=first) + "print(numba.threading_layer())", NUMBA_NUM_THREADS="2"
    )
    assert layer in ("omp", "workqueue")


def test_by_default_the_codec_has_no_threads_beside_the_one_that_calls():
    """In a command, or a node, where other libraries have none either."""
    count = 'print(len(os.listdir("/proc/self/task")))'
    begin = "from gaussvae_ros.threads import one_each; one_each()"
    assert python(begin + ENCODE.format(first="os") + count) == "1"
    assert int(python(begin + ENCODE.format(first="os") + count, NUMBA_NUM_THREADS="2")) > 1


def test_what_the_environment_says_of_threads_counts():
    code = (
        "import os; from gaussvae_ros.threads import one_each; one_each();"
        "print(os.environ['OMP_NUM_THREADS'])"
    )
    assert python(code) == "1" and python(code, OMP_NUM_THREADS="3") == "3"


def test_kernels_have_as_many_threads_as_they_were_given_and_there_are_cores():
    cores = os.cpu_count()
    for count, expected in ((1, 1), (2, min(2, cores)), (1000, cores)):
        with kernel_threads(count):
            assert kernels.threads() <= expected and (count > 1 or kernels.threads() == 1)
    assert python("from gaussvae_ros import kernels; print(kernels.threads())") == "1"


@pytest.mark.parametrize("verb, expected", [("decode", "1"), ("train", "None")])
def test_a_training_shares_its_work_out_and_other_verbs_do_not(verb, expected):
    code = f"""if True:
        import os, sys
        sys.argv = ["gaussvae", {verb!r}, "--help"]
        from gaussvae_ros.cli import main
        try:
            main()
        except SystemExit:
            print(os.environ.get("OMP_NUM_THREADS"))
    """
    assert python(code).splitlines()[-1] == expected
