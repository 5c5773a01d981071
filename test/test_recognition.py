"""What compression costs recognition: figures that are right where the answer is known."""

import json

import cv2
import numpy as np
import pytest
from test_cli import run
from test_likeness import scene

from gaussvae_ros.evaluation.recognition import _keypoints as keypoints
from gaussvae_ros.evaluation.recognition import in_a_row, inliers, recall


@pytest.fixture
def walk(tmp_path):
    """Five places passed twice, the second time a step aside."""
    for visit in range(2):
        folder = tmp_path / "walk" / f"visit{visit}"
        folder.mkdir(parents=True)
        for place in range(5):
            image = scene(place, (208, 156))[4 * visit : 150, 8 * visit : 200]
            cv2.imwrite(str(folder / f"{place:03}.png"), image)
    return tmp_path / "walk"


def test_recall_is_the_share_of_right_answers_among_the_first():
    scores = np.array([[0.9, 0.1, 0.0], [0.5, 0.1, 0.4], [0.9, 0.5, 0.1]])
    places = np.array([0, 1, 2])
    assert [recall(scores, places, 0, first) for first in (1, 2, 3)] == [1 / 3, 1 / 3, 1]
    assert recall(scores, places, 1, 1) == 2 / 3


def test_pictures_in_a_row_vote():
    scores = np.full((12, 12), 0.4)
    scores[range(12), range(12)] = 0.5
    scores[11, 3] = 0.9  # one that misleads
    places = np.arange(12)
    assert recall(scores, places, 0, 1) < recall(in_a_row(scores, places), places, 0, 1) == 1


def test_matches_are_verified():
    rng = np.random.default_rng(0)
    one, other = (
        keypoints(cv2.GaussianBlur(rng.integers(0, 256, (240, 320), np.uint8), (0, 0), 2))
        for _ in range(2)
    )
    assert inliers(one, one) > 100 > 20 > inliers(one, other)
    points = one
    assert inliers(points, keypoints(np.full((48, 64, 3), 9, np.uint8))) == 0


def test_the_command_measures_a_set(walk, tmp_path, capsys):
    given = ["evaluate", "--recognition", walk, "--out", tmp_path / "out", "--qualities", 20, 60]
    _, shown, _ = run(capsys, *given, "--peers", "webp", "--within", 0, "--json")
    result = json.loads(shown)
    assert result == json.loads((tmp_path / "out" / "recognition.json").read_text())
    (one,) = result["sets"]
    rows = one["rows"]
    assert (one["visits"], one["frames"], result["within"]) == (2, 5, 0)
    assert [(row["codec"], row["quality"]) for row in rows] == [
        ("original", None),
        *[(codec, quality) for quality in (20, 60) for codec in ("ours", "webp")],
    ]
    assert rows[0]["places"] == [1, 1, 1] and rows[0]["matched"] == rows[0]["localised"] == 1
    sizes = [row["bytes"] for row in rows[1:]]
    assert sizes[0] >= sizes[1] and sizes[2] >= sizes[3]
    run(capsys, *given, "--peers", "--frames", 3)
    assert json.loads((tmp_path / "out" / "recognition.json").read_text())["sets"][0]["frames"] == 3


def test_what_is_no_set_is_refused(walk, tmp_path, capsys):
    out = ["--out", tmp_path / "out"]
    for wrong in (
        [walk / "visit0"],
        [tmp_path / "none"],
        [walk, "--peers", "vvc"],
        [walk, "--within", -1],
        [walk, "--video"],
    ):
        code, _, problem = run(capsys, "evaluate", "--recognition", *wrong, *out)
        assert code == 2 and problem.strip().count("\n") == 0
    assert run(capsys, "evaluate", walk, "--within", 1, *out)[0] == 2
    (walk / "visit1" / "004.png").unlink()
    code, _, problem = run(capsys, "evaluate", "--recognition", walk, *out)
    assert code == 2 and "visit0 5, visit1 4" in problem
