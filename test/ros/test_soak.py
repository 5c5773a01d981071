"""`bench ros --soak`, for seconds: each fault comes once, and nothing is lost."""

import uuid

from graph import _marked

from gaussvae_ros.bench import soak


def test_each_fault_once(monkeypatch, tmp_path):
    marker = f"GAUSSVAE_TEST={uuid.uuid4()}"
    monkeypatch.setenv(*marker.split("="))
    for name, value in {"FAULT_S": 4.0, "FULL_S": 3.0, "CLIENTS": 3, "FRAMES": 12}.items():
        monkeypatch.setattr(soak, name, value)
    rows = {row["name"].removeprefix("soak: "): row for row in soak.run(tmp_path, 0.13)}
    value = {name: row["value"] for name, row in rows.items()}
    assert value["disk full, file deleted, memory_node killed"] == 3
    restarts = rows["starts of memory_node, beside those after kills"]
    assert restarts["value"] == restarts["reference"] == 1
    for name in ("processes lost", "announced frames lost", "exceptions inside the nodes"):
        assert value[name] == 0, rows
    announced = rows["frames announced, beside those recalled"]
    assert announced["value"] >= announced["reference"] > announced["value"] / 2
    assert (
        value["statuses that say ERROR"] > 0
        and rows["images sent, beside odd ones"]["reference"] > 10
    )
    assert value["questions of 8 clients answered, beside refused"] > 0
    assert not _marked(marker)
