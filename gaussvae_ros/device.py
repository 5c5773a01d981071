"""Whether there is a GPU to work on."""

import ctypes

from gaussvae_ros.extras import install


def why_no_gpu() -> str | None:
    """Why nothing can run on a CUDA GPU here, in a few words; None if it can."""
    try:
        # The driver's; without it there is no need to wait seconds for torch.
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver"
    try:
        import torch
    except ImportError:
        return f"the package torch is not installed ({install('cuda')})"
    if not torch.cuda.is_available():
        return "torch finds no GPU"
    try:
        import triton  # noqa: F401
    except ImportError:
        return "the package triton is not installed"
    return None
