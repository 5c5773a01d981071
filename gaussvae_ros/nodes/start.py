"""How the executables of a ROS workspace begin: a Python package that is missing costs one
sentence, not a traceback.

CMakeLists.txt runs this file as a script, with the path of requirements.txt, to say the same when
colcon builds.
"""

import importlib
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

# What setup.py names, by the module that it is imported as.
NEEDED = {
    "constriction": "constriction",
    "lz4": "lz4",
    "matplotlib": "matplotlib",
    "mcap": "mcap",
    "numba": "numba",
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "rosbags": "rosbags",
    "ruamel-yaml": "ruamel",
    "safetensors": "safetensors",
    "sqlite-utils": "sqlite_utils",
    "tqdm": "tqdm",
    "zstandard": "zstandard",
}


def start(module: str) -> int | None:
    """Run `main` of a module, if every package is there; returns its exit code, or 1 after one line
    on stderr.
    """
    complaint = missing(_requirements())
    if complaint:
        print(f"{Path(sys.argv[0]).name}: {complaint}", file=sys.stderr)
        return 1
    if module != "gaussvae_ros.cli":  # which decides by the verb
        from gaussvae_ros.threads import one_each

        one_each()
    # Ctrl-C while modules load would be a page of traceback.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    loaded = importlib.import_module(module)
    signal.signal(signal.SIGINT, before)
    return loaded.main()


def missing(requirements: str | Path) -> str:
    """Which packages this Python lacks and the command that installs them; empty if it has them
    all.
    """
    packages = [package for package, name in NEEDED.items() if find_spec(name) is None]
    if not packages:
        return ""
    return (
        f"Python packages are missing: {', '.join(packages)}. "
        f"Install them: {sys.executable} -m pip install -r {requirements}"
    )


def _requirements() -> Path:
    """requirements.txt as CMakeLists.txt installs it, in the workspace that this package was found
    in.
    """
    installed = (
        Path(p) / "share/gaussvae_ros"
        for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    )
    return next(
        (folder / "requirements.txt" for folder in installed if folder.is_dir()),
        Path("requirements.txt"),
    )


if __name__ == "__main__":
    sys.exit(missing(sys.argv[1]) or 0)
