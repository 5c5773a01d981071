"""The page of a memory file: what is inside it, against the bank."""

import base64
import hashlib
import io
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from standin import JpegCodec
from timelines import FORGOTTEN, Inside, make_bank, scene, write

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.frame import _BREAKING, Frame
from gaussvae_ros.errors import GaussVaeError, RecordError
from gaussvae_ros.likeness import describe
from gaussvae_ros.recognition import places
from gaussvae_ros.timeline import write_timeline
from gaussvae_ros.timeline.facts import NONE
from gaussvae_ros.timeline.sheets import CELLS, Sheets, picture_size


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "memory.db"
    make_bank(path)
    return path


def frames_of(memory: Path) -> list[Frame]:
    with MemoryBank(memory, readonly=True) as bank:
        return list(bank)


def test_columns_are_what_the_bank_holds(memory, tmp_path):
    done = write(memory, tmp_path / "page.html")
    inside, frames = Inside(tmp_path / "page.html"), frames_of(memory)
    columns, figures = inside.columns, inside.figures
    assert done["frames"] == len(frames) == 75 and done["failed"] == 0 and done["step"] == 1
    assert done["bytes"] == (tmp_path / "page.html").stat().st_size
    for name, facts in (
        ("id", [f.id for f in frames]),
        ("stamp", [f.stamp_ns for f in frames]),
        ("bytes", [len(f.data) for f in frames]),
    ):
        assert columns[name].tolist() == facts
    for row, frame in enumerate(frames):
        assert figures["cameras"][columns["camera"][row]] == frame.camera
        session = figures["sessions"][columns["session"][row]]
        assert (session["id"], session["map"]) == (frame.session, frame.map_id)
        assert tuple(figures["sizes"][columns["size"][row]][:2]) == frame.size
        assert figures["frameIds"][columns["frame_id"][row]] == frame.frame_id
        if frame.pose is None:
            assert columns["place"][row] == NONE and np.isnan(columns["position"][3 * row])
        else:
            place = figures["places"][columns["place"][row]]
            assert place == {"map": "ground floor", "reference": "map"}
            assert tuple(columns["position"][3 * row : 3 * row + 3]) == frame.pose.position
            turn = columns["turn"][4 * row : 4 * row + 4]
            assert turn == pytest.approx(frame.pose.orientation)
    assert np.isnan(columns["needs"]).all()
    assert [s["name"] for s in figures["sessions"]] == ["morning", "evening"]
    labels = [(k, f.label) for k, f in enumerate(frames) if f.label]
    assert [tuple(pair) for pair in figures["labels"]] == labels and len(labels) == 2


def test_forgotten_frames_are_counted_where_they_were(memory, tmp_path):
    done = write(memory, tmp_path / "page.html")
    columns = Inside(tmp_path / "page.html").columns
    assert done["forgotten"] == len(FORGOTTEN)
    [row] = np.flatnonzero(columns["missing"])
    assert columns["id"][row] == FORGOTTEN.stop and columns["missing"][row] == len(FORGOTTEN)
    with MemoryBank(memory, readonly=True) as bank:  # what a condition leaves out is not forgotten
        write(memory, tmp_path / "page.html", ids=bank.ids(camera="rear"))
    columns = Inside(tmp_path / "page.html").columns
    assert columns["missing"].sum() == len(FORGOTTEN)
    assert set(columns["id"].tolist()) == set(range(2, 61, 2)) - set(FORGOTTEN)


def test_pictures_lie_where_the_columns_say(memory, tmp_path):
    done = write(memory, tmp_path / "page.html")
    inside = Inside(tmp_path / "page.html")
    assert done["pictures"] == 75
    for row, frame in enumerate(frames_of(memory)):
        number, cell = divmod(int(inside.columns["picture"][row]), CELLS)
        _, _, w, h = inside.figures["sizes"][inside.columns["size"][row]]
        sheet = np.asarray(Image.open(io.BytesIO(inside.sheet(number))).convert("RGB"), float)
        y, x = divmod(cell, inside.figures["across"])
        cut = sheet[y * h : y * h + h, x * w : x * w + w]
        recalled = JpegCodec().decode(frame.records, size=(w, h))
        assert np.abs(cut - recalled).mean() < 30 < np.abs(cut - recalled[::-1, ::-1]).mean()


def test_descriptors_are_those_of_the_bank_or_of_the_picture(memory, tmp_path):
    write(memory, tmp_path / "page.html")
    inside = Inside(tmp_path / "page.html")
    descriptors = inside.columns["descriptor"].reshape(-1, 64)
    with MemoryBank(memory, readonly=True) as bank:
        for row, frame in enumerate(bank):
            stored = bank.descriptor(frame.id)
            if stored is not None:
                assert descriptors[row].tobytes() == stored
            else:
                size = picture_size(frame.size, 320)
                small = JpegCodec().decode(frame.records, size=size)
                assert np.array_equal(descriptors[row], describe(small))


def test_it_loads_nothing_and_runs_no_other_script(memory, tmp_path):
    write(memory, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    inside = Inside(tmp_path / "page.html")
    [policy] = [a["content"] for t, a in inside.elements if a.get("http-equiv")]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for text, kind in ((scripts[0], "script"), (style, "style")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert len(scripts) == 1
    for tag, attributes in inside.elements:
        assert not {"src", "srcset", "action", "onload", "style"} & attributes.keys(), tag
        assert attributes.get("href", "data:,") == "data:,"
    assert not re.search(r"https?:|innerHTML|insertAdjacent|document\.write|eval\(", page)


def test_it_is_its_owners_only_and_whole_or_not_there(memory, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("older")
    out.chmod(0o644)

    class Breaks(JpegCodec):
        def decode(self, *arguments, **more):
            raise KeyboardInterrupt

    with MemoryBank(memory, readonly=True) as bank:
        with pytest.raises(KeyboardInterrupt):
            write_timeline(out, bank, Breaks())
    assert out.read_text() == "older" and [f.name for f in tmp_path.iterdir()] == ["page.html"]
    write(memory, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o644  # as it was
    out.unlink()
    write(memory, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_a_frame_that_does_not_decode_costs_its_picture(memory, tmp_path, caplog):
    class Fails(JpegCodec):
        def decode(self, data, size=None, roi=None):
            picture = super().decode(data, size, roi)
            if np.array_equal(picture, super().decode(JpegCodec().encode(scene(4)), size, roi)):
                raise RecordError("of a model that is not here")
            return picture

    with MemoryBank(memory, readonly=True) as bank:
        done = write_timeline(tmp_path / "page.html", bank, Fails())
    inside = Inside(tmp_path / "page.html")
    assert done["failed"] == 2 and done["pictures"] == 73 and inside.figures["failed"] == [5, 63]
    assert "frame 5 has no picture: of a model that is not here" in caplog.text
    assert inside.columns["picture"][4] == NONE and len(inside.columns["id"]) == 75


def test_pictures_are_fewer_and_smaller_where_bytes_are_few(tmp_path):
    rng, codec = np.random.default_rng(0), JpegCodec()
    with MemoryBank(tmp_path / "many.db") as bank:
        for i in range(400):
            image = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            label = "a place" if i == 201 else None
            camera = ("front", "rear")[i % 2]
            bank.add(codec.encode(image, 90), stamp_ns=i, camera=camera, label=label)
    done = write(tmp_path / "many.db", tmp_path / "page.html", megabytes=1.6)
    assert done["bytes"] <= 1.6e6 and done["picture_px"] == 128 and done["step"] > 1
    inside = Inside(tmp_path / "page.html")
    shown = inside.columns["picture"] != NONE
    assert shown[201] and done["pictures"] == shown.sum() >= 400 // done["step"]
    for camera in (0, 1):
        of = np.flatnonzero(shown & (inside.columns["camera"] == camera))
        assert len(of) >= 200 // done["step"] and np.diff(of).max() <= 2 * done["step"]
    with pytest.raises(GaussVaeError, match="at least 1.5 MB, not 1"):
        write(tmp_path / "many.db", tmp_path / "page.html", megabytes=1)


def test_sheets_keep_to_their_bytes():
    rng = np.random.default_rng(0)
    sheets = Sheets(200, 60_000)
    for _ in range(200):
        sheets.add(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    files = sheets.files()
    assert len(files) == -(-200 // CELLS) and sum(map(len, files)) <= 60_000


WORDS = st.text(
    st.characters(exclude_categories=_BREAKING), min_size=1, max_size=40
) | st.sampled_from(
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "<img src=x onerror=alert(1)>",
        "&lt;b&gt;",
        "\"'`${alert(1)}\\u003c",
        "]]>",
        "\u202eevil",
    ]
)


@settings(max_examples=40)
@given(label=WORDS, camera=WORDS, name=WORDS, map_id=WORDS, frame_id=st.text(max_size=30))
def test_names_stay_names(tmp_path_factory, label, camera, name, map_id, frame_id):
    folder = tmp_path_factory.mktemp("named")
    with MemoryBank(folder / "memory.db") as bank:
        bank.begin_session(name, start_ns=0, map_id=map_id)
        data = JpegCodec().encode(scene(0))
        pose = Pose(0, 0, 0, reference=frame_id or "map")
        bank.add(data, stamp_ns=0, camera=camera, label=label, frame_id=frame_id, pose=pose)
    write(folder / "memory.db", folder / "page.html")
    inside, [frame] = Inside(folder / "page.html"), frames_of(folder / "memory.db")
    figures = inside.figures
    assert figures["labels"] == [[0, label]] and figures["cameras"] == [camera]
    assert figures["sessions"] == [{"id": 1, "name": name, "map": map_id}]
    assert figures["frameIds"] == [frame.frame_id]
    assert figures["places"] == [{"map": map_id, "reference": frame.pose.reference}]
    tags = [tag for tag, _ in inside.elements]
    write(folder / "memory.db", folder / "page.html", ids=[1])
    assert tags == [tag for tag, _ in Inside(folder / "page.html").elements]
    usual = {"script", "bdi", "svg", "path", "canvas", "dt", "dd"}
    assert "img" not in tags and "b" not in tags and usual - {"bdi"} <= set(tags)


def test_sessions_of_one_clock_follow_each_other(tmp_path):
    """A simulation begins at 0 again and again."""
    with MemoryBank(tmp_path / "memory.db") as bank:
        data = JpegCodec().encode(scene(0))
        for session in (1, 2):
            bank.begin_session(f"run {session}", start_ns=0)
            for i in range(3):
                bank.add(data, stamp_ns=i * STEP_NS)
    write(tmp_path / "memory.db", tmp_path / "page.html")
    columns = Inside(tmp_path / "page.html").columns
    assert columns["id"].tolist() == [1, 2, 3, 4, 5, 6]
    assert columns["session"].tolist() == [0, 0, 0, 1, 1, 1]


STEP_NS = 10**9


def test_colours_begin_where_unrelated_pictures_of_that_kind_are(tmp_path):
    for kind, unlike in ((describe, 0.6), (places.describe, 0.05)):
        path = tmp_path / f"{unlike}.db"
        with MemoryBank(path) as bank:
            for i in range(3):
                like = kind(scene(i)).tobytes()
                bank.add(JpegCodec().encode(scene(i)), stamp_ns=i, descriptor=like)
        write(path, path.with_suffix(".html"))
        assert Inside(path.with_suffix(".html")).figures["unlike"] == unlike
