"""What tests of several features share."""

import pytest


@pytest.fixture(scope="session")
def compiled() -> None:
    """Kernels are compiled, so that no command says that it compiles some."""
    from gaussvae_ros.compile import compile_kernels

    compile_kernels()
