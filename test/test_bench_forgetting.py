"""The bench of forgetting, on a short drive."""

from gaussvae_ros.bench import forgetting


def test_a_short_drive_is_measured(tmp_path, monkeypatch):
    for name, value in (("AREAS", 3), ("SECONDS", 100), ("PAUSE", 5), ("MORE", 200)):
        monkeypatch.setattr(forgetting, name, value)
    monkeypatch.setattr(forgetting, "SIZES", (300, 600))
    monkeypatch.setattr(forgetting, "ALONE_S", 0.2)
    rows = forgetting.run(tmp_path)
    named = {row["name"].removeprefix("forgetting: "): row for row in rows}
    assert len(named) == len(rows) == 12 and not list(tmp_path.iterdir())
    route = named["route that a tenth covers, of 3,150 frames"]
    assert route["value"] >= 2 * route["reference"] and route["value"] > 70
    areas = named["areas of 3 in a tenth, of 3,150 frames"]
    assert (areas["value"], areas["reference"]) == (3, 1)
    file = named["the file, pruned to a tenth of its bytes"]
    assert file["value"] <= int(file["target"].removeprefix("at most "))
    assert all(row["value"] > 0 for row in rows)
