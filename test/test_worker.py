"""The thread behind the memory node: only what overruns a queue is lost, and that is told."""

import threading
import time

import pytest

from gaussvae_ros.nodes import worker as module
from gaussvae_ros.nodes.worker import Worker

PATIENCE = 10.0  # s, for what takes milliseconds


class Log:
    """What a worker did, in order; its work stands still while `gate` is not set."""

    def __init__(self, **settings):
        self.done, self.dropped, self.commits = [], [], []
        self.gate, self.begun, self.refuses = threading.Event(), threading.Event(), False
        self.gate.set()
        self.worker = Worker(self.work, self.commit, self.dropped.append, **settings)

    def work(self, job):
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        if job == "bad":
            raise ValueError(job)
        self.done.append(job)

    def commit(self):
        self.commits.append((time.monotonic(), list(self.done)))
        return not self.refuses

    def hold(self, lane="a", job="held"):
        """Begin with a job that lasts until `gate` is set."""
        self.gate.clear()
        self.worker.put(lane, job)
        assert self.begun.wait(PATIENCE)


@pytest.fixture
def make():
    logs = []

    def made(**settings):
        logs.append(Log(**settings))
        return logs[-1]

    yield made
    for log in logs:
        log.gate.set()
        log.worker.stop(PATIENCE)


def test_jobs_are_done_in_order_and_committed(make):
    log = make(size=100)
    for i in range(50):
        log.worker.put("a", i)
    assert log.worker.drain(PATIENCE)
    assert log.done == list(range(50)) and log.dropped == []
    assert log.commits[-1][1] == log.done


def test_a_full_queue_drops_its_oldest(make):
    log = make(size=2)
    log.hold()
    for i in range(5):
        log.worker.put("a", i)
    assert log.dropped == [0, 1, 2]
    log.gate.set()
    assert log.worker.drain(PATIENCE)
    assert log.done == ["held", 3, 4]


def test_a_job_may_ask_for_a_shorter_queue_but_for_no_longer_one(make):
    log = make(size=3)
    log.hold()
    for i in range(4):
        log.worker.put("a", i, 9)
    assert log.dropped == [0]
    log.worker.put("a", 4, 1)
    assert log.dropped == [0, 1, 2, 3]
    log.gate.set()
    assert log.worker.drain(PATIENCE)
    assert log.done == ["held", 4]


def test_a_lane_in_a_hurry_takes_nothing_from_the_others(make):
    log = make(size=1)
    log.hold()
    log.worker.put("slow", "s")
    for i in range(5):
        log.worker.put("fast", i)
    log.gate.set()
    assert log.worker.drain(PATIENCE)
    assert log.done == ["held", "s", 4] and log.dropped == [0, 1, 2, 3]


def test_a_smaller_size_takes_effect_with_the_next_job(make):
    log = make(size=3)
    log.hold()
    for i in range(3):
        log.worker.put("a", i)
    log.worker.size = 1
    log.worker.put("a", 3)
    assert log.dropped == [0, 1, 2]


def test_calls_come_before_jobs_in_their_order_and_are_never_dropped(make):
    log = make(size=1)
    log.hold()
    log.worker.put("a", "job")
    for i in range(5):
        log.worker.call(lambda i=i: log.done.append(i))
    log.gate.set()
    assert log.worker.drain(PATIENCE)
    assert log.done == ["held", 0, 1, 2, 3, 4, "job"] and log.dropped == []


def test_commits_keep_their_distance_and_the_last_job_is_committed_without_another(make):
    log = make(size=100, period=0.1)
    for i in range(40):
        log.worker.put("a", i)
        time.sleep(0.01)
    deadline = time.monotonic() + PATIENCE
    while not (log.commits and len(log.commits[-1][1]) == 40):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    times = [at for at, _ in log.commits]
    assert min(b - a for a, b in zip(times, times[1:])) >= 0.1
    assert len(times) >= 3


def test_without_jobs_there_are_no_commits(make):
    log = make(period=0.0)
    log.worker.put("a", 1)
    assert log.worker.drain(PATIENCE)
    count = len(log.commits)
    time.sleep(0.2)
    assert len(log.commits) == count


def test_a_refused_commit_is_tried_again_without_haste(make, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    log = make(period=0.0)
    log.refuses = True
    log.worker.put("a", 1)
    assert log.worker.drain(PATIENCE), "a bank that refuses must not hold up those who wait"
    time.sleep(0.35)
    assert 2 <= len(log.commits) <= 6
    log.refuses = False
    time.sleep(0.3)
    count = len(log.commits)
    time.sleep(0.3)
    assert len(log.commits) == count and log.commits[-1][1] == [1]


def test_a_job_that_fails_costs_only_itself(make, caplog):
    log = make(size=10)
    for job in (1, "bad", 2):
        log.worker.put("a", job)
    assert log.worker.drain(PATIENCE)
    assert log.done == [1, 2]
    assert "the worker's thread failed" in caplog.text


def test_a_commit_that_raises_holds_nobody_up(make):
    log = make()
    log.commit = None
    log.worker._commit = lambda: 1 / 0
    log.worker.put("a", 1)
    assert log.worker.drain(PATIENCE)


def test_stop_does_all_that_waits(make):
    log = make(size=10)
    for i in range(10):
        log.worker.put("a", i)
    assert log.worker.stop(PATIENCE)
    assert log.done == list(range(10)) and log.commits[-1][1] == log.done


def test_stop_in_a_hurry_tells_what_it_left(make):
    log = make(size=10)
    log.hold()
    log.worker.put("a", 1)
    log.worker.put("a", 2)
    begun = time.monotonic()
    assert not log.worker.stop(0.1)
    assert time.monotonic() - begun < 1
    assert log.dropped == [1, 2]
    log.gate.set()
    log.worker._thread.join(PATIENCE)
    assert not log.worker._thread.is_alive() and log.done == ["held"]


def test_a_drain_that_takes_too_long_tells_what_it_left_and_the_work_goes_on(make):
    log = make(size=10)
    log.hold()
    for job in (1, 2):
        log.worker.put("a", job)
    begun = time.monotonic()
    assert not log.worker.drain(0.2)
    assert time.monotonic() - begun < 2 and log.dropped == [1, 2]
    log.gate.set()
    log.worker.put("a", 3)
    assert log.worker.drain(PATIENCE)
    assert log.done == ["held", 3] and log.commits[-1][1] == log.done


def test_a_drain_ends_when_nobody_waits_any_more(make):
    log = make(size=10)
    log.hold()
    log.worker.put("a", 1)
    begun = time.monotonic()
    assert not log.worker.drain(PATIENCE, lambda: time.monotonic() - begun < 0.2)
    assert time.monotonic() - begun < PATIENCE / 2 and log.dropped == [1]


def test_putters_in_many_threads_lose_nothing_untold(make):
    log = make(size=3)
    threads = [
        threading.Thread(
            target=lambda lane=lane: [log.worker.put(lane, (lane, i)) for i in range(200)]
        )
        for lane in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert log.worker.drain(PATIENCE)
    assert sorted(log.done + log.dropped) == sorted(
        (lane, i) for lane in "abcd" for i in range(200)
    )
    for lane in "abcd":
        done = [i for other, i in log.done if other == lane]
        assert done == sorted(done) and done[-1] == 199
