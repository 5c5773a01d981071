"""sqlite-utils without pandas, which it would import wherever that is installed, as by the extra
`fleet`: 0.5 s and 70 MB of every process that opens a memory file, for columns that none has.
"""

import sys
import threading


class _Hidden:
    """A finder of modules by which pandas is not found, in the thread that made it alone."""

    def __init__(self):
        self._thread = threading.get_ident()

    def find_spec(self, name: str, *where: object) -> None:
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def import_sqlite_utils() -> None:
    """Import it, if nobody has; pandas can be imported before and after as ever."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        import sqlite_utils  # noqa: F401
    finally:
        sys.meta_path.remove(hidden)
