"""Without ROS, the client says in one sentence what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_client_without_ros_says_what_it_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import gaussvae_ros.client"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # no ROS: its setup.bash is PYTHONPATH
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(
        "ImportError: gaussvae_ros.client needs ROS 2 and a workspace with this package: source"
    )
