"""How the packages of an extra get into the Python that runs."""

import shlex
import sys


def install(extra: str) -> str:
    """The command, for any shell. It names this Python, since `pip` alone may be another one's, and
    the environment that `make` sets up has no command of this name."""
    return f"{shlex.quote(sys.executable)} -m pip install 'gaussvae_ros[{extra}]'"
