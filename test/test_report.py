"""The HTML report: one file, all inside it, text escaped, pictures true, never half written."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gaussvae_ros.evaluation.report import Figure, Gallery, Table, Views, write_report

NASTY = '<script>alert("x")</script> & {curly} größer'


def png(width: int = 5, height: int = 4) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


class Page(HTMLParser):
    """Tags in order, and a check that they nest."""

    VOID = {"meta", "img", "br", "link"}

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.sources, self.texts, self._open = [], [], [], []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 60 * 80 * 3).reshape(60, 80, 3).astype(np.uint8)
    return smooth, rng.integers(0, 255, (30, 41), np.uint8)


def test_everything_is_in_one_file_and_escaped(tmp_path, pictures):
    colour, mono = pictures
    path = write_report(
        tmp_path / "new" / "folder",
        NASTY,
        [
            Table(
                NASTY,
                ["codec", "bytes", "PSNR (dB)"],
                [[NASTY, 1234567, 25.678], ["none", None, float("inf")]],
            )
        ],
        [Figure(NASTY, png())],
        [Gallery(NASTY, [Views(NASTY, {NASTY: colour, "b": mono}), Views("second", {"c": mono})])],
    )
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert path == tmp_path / "new" / "folder" / "report.html"
    assert "script" not in page.tags and "link" not in page.tags
    assert page.texts.count(NASTY) >= 6
    assert {"1,234,567", "25.68", "–"} <= set(page.texts)
    assert len(page.sources) == 4 and all(s.startswith("data:image/") for s in page.sources)
    assert not re.search(r"https?://|@import|url\(", text)


def test_pictures_come_out_in_their_colours_sizes_and_order(tmp_path, pictures):
    colour, mono = pictures
    blue = np.zeros((40, 30, 3), np.uint8)
    blue[..., 2] = 250
    views = [Views("a", {"x": colour, "y": blue}), Views("b", {"x": mono, "y": mono})]
    path = write_report(
        tmp_path, "t", figures=[Figure("f", png(7, 3))], galleries=[Gallery("g", views)]
    )
    page = Page(path.read_text())
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(s.split(",")[1])))) for s in page.sources
    ]
    assert shown[0].shape == (3, 7, 3) and tuple(shown[0][0, 0]) == (200, 30, 30)
    for got, sent in zip(shown[1:3], (colour, blue)):
        assert got.shape == sent.shape
        assert np.abs(np.float64(got) - sent).mean() < 4
    assert shown[3].shape == shown[4].shape == mono.shape


def test_empty_report(tmp_path):
    assert Page(write_report(tmp_path, "nothing yet").read_text()).texts


def test_a_failed_write_keeps_the_old_report_and_leaves_no_draft(tmp_path, pictures, monkeypatch):
    path = write_report(tmp_path, "old")

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gaussvae_ros.files.os.replace", disk_full)
    with pytest.raises(OSError, match="No space") as caught:
        write_report(tmp_path, "new")
    assert caught.value.filename == str(path)
    assert "old" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_input_gives_the_same_file(tmp_path, pictures):
    gallery = Gallery("g", [Views("p", dict(zip("xy", pictures)))])
    first, second = (
        write_report(tmp_path / name, "t", galleries=[gallery]).read_bytes() for name in "ab"
    )
    assert first == second
