"""What tests of several features share."""

import pytest
from hypothesis import HealthCheck, settings

# No property is about time: a busy machine must not fail one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def compiled() -> None:
    """Kernels are compiled, so that no command says that it compiles some."""
    from gaussvae_ros.compile import compile_kernels

    compile_kernels()
