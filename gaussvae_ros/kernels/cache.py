"""Machine code of the kernels, kept in files that are named by the sources it was made from.

numba's own cache will not do: it looks at the file of the kernel alone, although code and
constants of other files go into it; a kernel cannot even be imported where it finds no folder to
write to; and a folder that can be read but not written, as of a system's package or in a
container, is of no use to it.

Each process reads from all of `folders()` and writes to the first that it can.
"""

import hashlib
import logging
import os
import pickle
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from gaussvae_ros.files import write_file

PACKAGE = Path(__file__).parents[1]
PYTHON = sys.implementation.cache_tag
MADE_BY = f"{PYTHON}-numba-{numba.__version__}-llvmlite-{llvmlite.__version__}"
OURS = r"(gaussvae_ros[\w.]*)"
IMPORTS = re.compile(rf"^\s*(?:from {OURS} import (\([^)]*\)|.*)|import {OURS})", re.M)
DIGEST = 32  # bytes of SHA-256 before the machine code in a file

log = logging.getLogger(__name__)
_said = False  # that something is being compiled


def folders() -> list[Path]:
    """Where it may be: in NUMBA_CACHE_DIR, or else beside the package and in the user's cache."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(named) / "gaussvae_ros" / MADE_BY]
    users = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    both = [PACKAGE / "__pycache__" / MADE_BY]
    return [*both, users / "gaussvae_ros" / MADE_BY] if users.is_absolute() else both


@lru_cache(None)
def sources_of(module: str) -> frozenset[Path]:
    """The files of this package that may go into the kernels of a module: all that it imports."""
    found, todo = set(), _with_parents(module)
    while todo:
        path = PACKAGE.joinpath(*todo.pop().split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path in found or not path.is_file():  # it is a function's name, say
            continue
        found.add(path)
        for base, names, other in IMPORTS.findall(path.read_text("utf-8")):
            todo += _with_parents(base or other)
            todo += [f"{base}.{name}" for name in re.findall(r"\w+", names)]
    return frozenset(found)


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


@lru_cache(None)
def _hash(module: str) -> str:
    made = hashlib.sha256()
    for path in sorted(sources_of(module)):
        made.update(str(path.relative_to(PACKAGE)).encode() + b"\0")
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:16]


class KernelCache(NullCache):
    """What a numba dispatcher asks for machine code of its function."""

    def __init__(self, function: Callable, kind: str) -> None:
        """`kind` tells apart kernels that are made of one function."""
        self._module, self._name = function.__module__, f"{function.__qualname__}{kind}"

    def load_overload(self, sig, target_context):  # numba's name
        target_context.refresh()
        name = self._file(sig, target_context)
        for folder in folders():
            try:
                data = (folder / name).read_bytes()
                if hashlib.sha256(data[DIGEST:]).digest() == data[:DIGEST]:  # else it is damaged
                    return CompileResult._rebuild(target_context, *pickle.loads(data[DIGEST:]))
            except OSError:
                pass
        _say(name.parent)
        return None

    def save_overload(self, sig, data):  # numba's name
        if data.library.has_dynamic_globals or data.lifted:
            return
        name = self._file(sig, data.target_context)
        code = dumps(data._reduce())
        for folder in folders():
            try:
                if not (folder / name.parent).is_dir():
                    (folder / name.parent).mkdir(parents=True)
                    _forget_older(folder / name.parent)
                return write_file(folder / name, hashlib.sha256(code).digest() + code)
            except OSError:
                pass

    def _file(self, sig, target_context) -> Path:
        """For this processor, and these types of arguments."""
        made_for = repr((sig, target_context.codegen().magic_tuple()))
        short = self._module.partition(".")[2]
        key = hashlib.sha256(made_for.encode()).hexdigest()[:16]
        return Path(f"{short}-{_hash(self._module)}", f"{self._name}-{key}.nbc")


def _forget_older(folder: Path) -> None:
    """Remove what was made of older sources, where no other copy of this package keeps its own."""
    if PACKAGE in folder.parents:
        for older in folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*"):
            if older != folder:
                shutil.rmtree(older, ignore_errors=True)


def _say(module: Path) -> None:
    """Once: that numba compiles now, and how long that takes."""
    global _said
    if _said:
        return
    _said = True
    places = folders()
    if not any(map(_writable, places)):
        log.warning(
            "compiling, about half a minute, at each start: machine code can be kept neither in %s;"
            " name a folder that can be written in NUMBA_CACHE_DIR",
            " nor in ".join(str(place) for place in places),
        )
    elif any((place / module).is_dir() for place in places):
        log.warning("compiling once, some seconds")
    else:
        log.warning("compiling once, about half a minute")


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
