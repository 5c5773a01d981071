"""Rows of figures, medians of times, and code in a process of its own."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from gaussvae_ros.errors import GaussVaeError


def row(
    name: str,
    value: float | None,
    unit: str,
    target: str | None = None,
    reference: float | None = None,
) -> dict:
    """One figure; `target` in words, and `reference`, what something known reaches, in `unit`."""
    return {"name": name, "value": value, "unit": unit, "target": target, "reference": reference}


def median_ms(work: Callable, items: Iterable) -> float:
    """Median of the times, ms, that `work` takes for each of `items`."""
    times = []
    for item in items:
        started = time.perf_counter()
        work(item)
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times), 3)


def in_fresh_process(code: str, *args: object) -> list:
    """The JSON that `code` prints in a Python of its own.

    Raises GaussVaeError when it fails, with its last words.
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True
    )
    if done.returncode:
        raise GaussVaeError(f"a bench process failed: {done.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(done.stdout)
