"""Where training pictures come from: videos, bags, the simulated drive, and their licences."""

import cv2
import numpy as np
import pytest
from bagmaker import START, BagMaker
from PIL import Image
from samples import picture

from gaussvae_ros.training import sources
from gaussvae_ros.training.sources import find_source, licence_note, picture_files

STEP = 100_000_000  # ns


def test_a_video_is_thinned(tmp_path):
    path = str(tmp_path / "v.avi")
    video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 72))
    for i in range(30):
        video.write(np.full((72, 96, 3), 8 * i, np.uint8))
    video.release()
    source = find_source(path)
    levels = {}
    for every in (None, 7):
        files, problems = picture_files(source, tmp_path / "frames", every)
        levels[every] = [round(np.asarray(Image.open(f)).mean() / 8) for f in files]
        assert source.kind == "video" and problems == []
    assert levels == {None: [0, 5, 10, 15, 20, 25], 7: [0, 7, 14, 21, 28]}


def test_what_a_bag_lacks_is_listed_and_a_folder_of_its_files_is_one(tmp_path):
    maker = BagMaker("mcap")
    for i in range(3):
        maker.image("/cam", START + i * 10**9, picture(i))
    path = maker.write(tmp_path)
    (path / "metadata.yaml").write_text("damaged")
    source = find_source(path)
    files, problems = picture_files(source, tmp_path / "frames", 1)
    assert source.kind == "bag" and len(files) == 3
    assert [(name, "is empty or damaged" in why) for name, why in problems] == [
        (f"{path}: as it lies there", True)
    ]
    (path / "metadata.yaml").unlink()
    assert find_source(path).kind == "bag"


@pytest.mark.parametrize("kind", ["bag", "mcap"])
def test_a_bag_is_thinned_and_its_faults_are_counted(tmp_path, kind):
    maker = BagMaker(kind)
    for i in range(12):
        maker.jpeg("/cam", START + i * STEP, b"broken" if i == 5 else picture(i))
        maker.image("/cam/depth", START + i * STEP, picture(i)[..., 0], encoding="mono8")
    source = find_source(maker.write(tmp_path))
    files, problems = picture_files(source, tmp_path / "frames", None)
    assert (
        source.kind == "bag"
        and len(files) == 2
        and len(problems) == 1
        and "/cam at" in problems[0][0]
    )
    assert len(picture_files(source, tmp_path / "frames", 2)[0]) == 6
    before = [f.stat().st_mtime_ns for f in files]
    assert before == [
        f.stat().st_mtime_ns for f in picture_files(source, tmp_path / "frames", None)[0]
    ]


def test_the_simulated_drive_is_a_source(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "SIM_WORLDS", (1001,))
    files, _ = picture_files(find_source("sim"), tmp_path, 200)
    assert len(files) == 3
    frames = [np.asarray(Image.open(f)).astype(int) for f in files]
    assert frames[0].shape == (480, 640, 3)
    assert all(np.abs(a - b).mean() > 5 for i, a in enumerate(frames) for b in frames[:i])


def test_licence_notes(tmp_path):
    data = tmp_path / "street"
    (data / "a").mkdir(parents=True)
    assert licence_note(data) == "not stated"
    manifest = (
        "# Data\n\n## house/\n- Licence: BSD-3\n\n"
        "## street/ - 2 files\n- Source: x\n- Licence: CC BY 4.0\n"
    )
    (tmp_path / "MANIFEST.md").write_text(manifest)
    assert licence_note(data) == licence_note(data / "a.mp4") == "MANIFEST.md: CC BY 4.0"
    assert licence_note(data / "a" / "b.mp4") == "not stated"
    (data / "LICENCE").write_text("\nMIT Terms\n\nPermission is granted\n")
    assert licence_note(data) == "LICENCE: MIT Terms" == licence_note(data / "a.mp4")
