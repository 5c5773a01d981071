"""`bench ros`, so short that its figures mean little: its rows are whole, and nothing stays."""

import uuid
from importlib.util import find_spec

from graph import _marked

from gaussvae_ros.bench import parts as bench
from gaussvae_ros.bench import ros
from gaussvae_ros.looking.reading import PACKAGES


def test_the_graph_is_measured(monkeypatch):
    marker = f"GAUSSVAE_TEST={uuid.uuid4()}"
    monkeypatch.setenv(*marker.split("="))
    short = {
        "STARTS": 1,
        "IDLE_S": 1,
        "RUN_S": 3,
        "WARM_S": 1,
        "RUNS": {"5 Hz": (5, 0.0)},
        "RECALLS": 20,
        "ROUTE_S": 1,
    }
    for name, value in short.items():
        monkeypatch.setattr(ros, name, value)
    rows = {row["name"]: row for row in bench.run(["ros"])}
    values = {name: row["value"] for name, row in rows.items()}
    received, stored = (
        rows["ros, 5 Hz: received, beside sent"],
        rows["ros, 5 Hz: stored, beside announced"],
    )
    assert received["reference"] == 15 and 0 < received["value"] <= 15
    assert stored["value"] == stored["reference"] > 0
    assert values["ros, 5 Hz: not accounted for"] == values["ros, 5 Hz: bad or refused"] == 0
    assert values["ros, 5 Hz: left out by the gates"] == 0  # every frame shows something new
    assert 0 < values["ros: launch to both nodes active, beside the first time"] < 60
    assert 200 < values["ros: disk a frame"]
    times = [row for row in rows.values() if row["unit"] == "ms"]
    few = [row for row in times if "of predicted frames" in row["name"]]  # or none, in so few
    reads = all(map(find_spec, PACKAGES))  # then there is a run with that, too
    assert len(times) == 17 + 3 * reads and len(few) == 2
    assert all(row["value"] > 0 for row in times if row not in few)
    assert not _marked(marker)
