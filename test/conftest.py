"""What tests of several features share."""

import pytest
from hypothesis import HealthCheck, settings

# No property is about time: a busy machine must not fail one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_make_parametrize_id(val, argname):
    """Name bytes by the argument, not by what they hold: with the time in a gzip header each worker
    would name a test otherwise, and workers that do not agree on the tests run none.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def compiled() -> None:
    """Kernels are compiled, so that no command says that it compiles some."""
    from gaussvae_ros.compile import compile_kernels

    compile_kernels()
