"""Threads of other libraries in processes of this package, where they only wait for each other."""

import os

# Of OpenMP, OpenBLAS (numpy), MKL (torch) and OpenCV, each read when its library is first imported.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def one_each() -> None:
    """Give each of them one thread, before it is imported, unless the environment says otherwise.

    What they do for a frame is too small to be shared out: a second thread takes time on another
    core, mostly to spin, and gains none. Kernels have their own number (`kernels.use_threads`).
    """
    for variable in VARIABLES:
        os.environ.setdefault(variable, "1")
