"""How this package's kernels are compiled by numba, kept, and shared by threads."""

from gaussvae_ros.kernels.compiling import (
    inline,
    kernel,
    leaf,
    parallel,
    prange,
    threads,
    use_threads,
)

__all__ = ["inline", "kernel", "leaf", "parallel", "prange", "threads", "use_threads"]
