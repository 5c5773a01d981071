"""A reader of the memory that `bench bank` has written, in a process of its own: how long questions
take, and what it holds in memory.
"""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bench.bank_data import PERIOD, SPOT, Drive

QUESTIONS, SEARCHES, OPENINGS = 300, 30, 5
WORK = 50_000  # additions, about half a ms
TARGETS = {"stamp": 5, "range": 5, "pose": 5, "likeness": 100, "mix": 50, "loops": None}  # ms


def measure(path: str, frames: int) -> dict:
    """{open ms, first search ms, memory MB and of it anonymous (before, too), questions [[name,
    kind, median ms, p99 ms], ...], undisturbed [median, p99 ms of plain work]} of a bank of so many
    frames of a `Drive`.
    """
    opened = []
    for _ in range(OPENINGS):
        started = time.perf_counter()
        bank = MemoryBank(path, readonly=True)
        opened.append(time.perf_counter() - started)
        bank.close()
    drive, rng = Drive(frames), random.Random(1)
    with MemoryBank(path, readonly=True) as bank:
        rows = [_asked(*question, QUESTIONS, rng, frames) for question in _finds(bank, drive)]
        before = _memory()
        started = time.perf_counter()
        bank.find_like(drive.look(0))
        first = time.perf_counter() - started
        rows += [_asked(*question, SEARCHES, rng, frames) for question in _searches(bank, drive)]
        return {
            "open": round(1000 * statistics.median(opened), 2),
            "first": round(1000 * first, 1),
            "before": before,
            "memory": _memory(),
            "questions": rows,
            "undisturbed": _undisturbed(),
        }


def _finds(bank: MemoryBank, drive: Drive) -> list[tuple[str, str, Callable]]:
    def find(**conditions: object) -> list:
        return bank.find(**conditions, limit=20)

    def near(i: int, radius: float = 2.0, **conditions: object) -> list:
        return find(near=drive.place(i)[0], radius=radius, **conditions)

    def turned(i: int) -> dict:
        return {"yaw": drive.place(i)[1], "yaw_tolerance": 0.5}

    def around(i: int, frames: int) -> dict:
        return {"after": drive.stamp(i - frames), "before": drive.stamp(i + frames)}

    def all_of_it(i: int) -> list:
        conditions = {"camera": "rear", "session": drive.session(i), "map_id": "house"}
        return near(i, **conditions, **turned(i), **around(i, 500))

    def here(**conditions: object) -> list:
        return find(near=SPOT, radius=1.0, **conditions)

    middle = drive.stamp(drive.stay[len(drive.stay) // 2])
    stamp = drive.stamp
    return [
        ("nearest to a stamp", "stamp", lambda i: bank.nearest(stamp(i) + PERIOD // 3)),
        ("nearest of a camera", "stamp", lambda i: bank.nearest(stamp(i) + 7, camera="rear")),
        ("window of 11", "stamp", lambda i: bank.window(i + 1, 5)),
        ("20 in 10 s", "range", lambda i: find(**around(i, 50))),
        ("20 of a session", "range", lambda i: find(session=drive.session(i), after=stamp(i))),
        ("20 within 2 m", "pose", near),
        ("20 within 2 m, nearest first", "pose", lambda i: near(i, nearest_first=True)),
        ("20 within 2 m, by heading", "pose", lambda i: near(i, **turned(i))),
        (f"20 of {len(drive.stay):,} at one spot", "pose", lambda i: here()),
        ("20 there, nearest first", "pose", lambda i: here(nearest_first=True)),
        ("20 there, by time", "pose", lambda i: here(after=middle)),
        ("20 by place and time", "mix", lambda i: near(i, **around(i, 500))),
        ("20 by place, heading, time, camera, session, map", "mix", all_of_it),
        ("20 by label and session", "mix", lambda i: find(label="dock 1", session=1)),
        (
            "20 by camera, map and time",
            "mix",
            lambda i: find(camera="rear", map_id="house", after=stamp(i)),
        ),
        ("20 there, of the other heading", "mix", lambda i: here(yaw=-2.0, yaw_tolerance=0.3)),
        ("20 within 1 km", "mix", lambda i: near(i, radius=1000.0)),
    ]


def _searches(bank: MemoryBank, drive: Drive) -> list[tuple[str, str, Callable]]:
    def like(i: int, **conditions: object) -> list:
        return bank.find_like(drive.look(i), **conditions)

    return [
        ("10 likest", "likeness", like),
        ("10 likest of a camera", "mix", lambda i: like(i, camera="rear")),
        ("10 likest of a session", "mix", lambda i: like(i, session=drive.session(i))),
        ("10 likest within 2 m", "mix", lambda i: like(i, near=drive.place(i)[0], radius=2.0)),
        ("10 likest after a stamp", "mix", lambda i: like(i, after=drive.stamp(i))),
        ("10 loop candidates", "loops", lambda i: bank.loop_candidates(i + 1)),
    ]


def _asked(
    name: str, kind: str, ask: Callable, count: int, rng: random.Random, frames: int
) -> list:
    times = []
    for _ in range(count):
        number = rng.randrange(frames)
        started = time.perf_counter()
        ask(number)
        times.append(1000 * (time.perf_counter() - started))
    return [name, kind, round(statistics.median(times), 3), round(percentile(times, 99), 3)]


def _undisturbed() -> list[float]:
    times = []
    for _ in range(QUESTIONS):
        started = time.perf_counter()
        sum(range(WORK))
        times.append(1000 * (time.perf_counter() - started))
    return [round(statistics.median(times), 3), round(percentile(times, 99), 3)]


def percentile(values: list[float], share: int) -> float:
    """The least value that so many per cent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def _memory() -> list[float]:
    """Resident memory, MB, and the anonymous part of it."""
    status = Path("/proc/self/status").read_text()
    return [int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
