"""What pictures show: text that is read, vectors of an encoder, in this process and in another."""

import json
import os
import signal
import threading
import time

import cv2
import numpy as np
import onnxmaker
import pytest
from test_bank_likeness import record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import ConfigError
from gaussvae_ros.looking import encoder as encoders
from gaussvae_ros.looking import reading
from gaussvae_ros.looking.background import Background
from gaussvae_ros.looking.encoder import Encoder
from gaussvae_ros.looking.looks import Found, Looker, Looks

pytest.importorskip("rapidocr")
pytest.importorskip("onnxruntime")
COLOURS = {"red": [3.0, -1, -1], "green": [-1, 3.0, -1], "blue": [-1, -1, 3.0]}


def sign(text: str = "ROOM 214", size: tuple[int, int] = (640, 480)) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    cv2.putText(image, text, (150, 240), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 30, 90), 4)
    return image


def plain(colour: int) -> np.ndarray:
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., colour] = 255
    return image


@pytest.fixture
def described(tmp_path):
    (tmp_path / "image.onnx").write_bytes(onnxmaker.image_model())
    (tmp_path / "text.onnx").write_bytes(onnxmaker.text_model(COLOURS))
    table = {"texts": np.array(["Something  Blue"]), "vectors": np.array([[-1, -1, 3]])}
    np.savez(tmp_path / "texts.npz", **table)
    file = tmp_path / "tiny.yaml"
    file.write_text("name: tiny\nimage: image.onnx\ntext: text.onnx\ntexts: texts.npz\n")
    return file


def test_a_sign_is_read_with_its_place_in_the_picture():
    read = reading.TextReader().read
    [text] = read(sign())
    assert text.text == "ROOM 214" and text.confidence > 0.8
    x, y, w, h = text.box
    assert 100 < x < 160 and 170 < y < 215 and 200 < w < 350 and 30 < h < 90
    assert [t.text for t in read(sign("EXIT")[..., 0])] == ["EXIT"]  # grey
    assert read(np.full((48, 64, 3), 90, np.uint8)) == []


def test_pictures_are_found_by_what_a_text_says(described, tmp_path):
    encoder = Encoder(described)
    with MemoryBank(tmp_path / "m.db") as bank:
        for k in range(3):
            bank.add(record(k), stamp_ns=k)
            bank.set_vector(k + 1, encoder.name, encoder.of_image(plain(k)))
        for word, first in (("red", 1), ("green", 2), ("something blue", 3)):
            assert [f.id for f, _ in encoder.find(bank, word, limit=3)][0] == first
    assert encoder.of_image(plain(0)[..., 0]).shape == (3,)  # grey


def test_the_verbs_list_frames_by_what_a_text_says(described, tmp_path, capsys):

    with MemoryBank(tmp_path / "m.db") as bank:
        for k in range(3):
            bank.add(record(k), stamp_ns=k)
            bank.set_vector(k + 1, "tiny", Encoder(described).of_image(plain(k)))
    asked = ["bank", "list", str(tmp_path / "m.db"), "--like-text", "green", "--limit", "1"]
    assert main([*asked, "--encoder", str(described)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "2"
    assert main(asked) == 2 and "go together" in capsys.readouterr().err


def test_frames_that_are_there_get_vectors_of_their_recalls(described, tmp_path, capsys):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for k in range(3):
            bank.add(FrameCodec(device="cpu").encode(plain(k)), stamp_ns=k)
        bank.add(record(9), stamp_ns=9)  # which does not decode
    verb = ["bank", "embed", str(path), "--encoder", str(described)]
    assert main([*verb, "--limit", "1"]) == 0 and "1 vectors by tiny" in capsys.readouterr().out
    assert main(verb) == 1
    said = capsys.readouterr()
    assert "2 vectors by tiny" in said.out and "frame 4: " in said.err
    with MemoryBank(path, readonly=True) as bank:
        [(frame, _)] = Encoder(described).find(bank, "blue", limit=1)
        assert frame.id == 3 and bank.encoders() == {"tiny": 3}
    assert main(verb[:3]) == 2 and "--encoder is needed" in capsys.readouterr().err
    with MemoryBank(path) as bank:
        bank._db.execute("UPDATE frames SET checksum = checksum + 1 WHERE id = 4")
    assert main([*verb, "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["failed"] == 1 and "frame 4: " in said.err


@pytest.mark.parametrize(
    "wrong, why",
    [
        ("image: image.onnx", "name must be text"),
        ("name: a", "names no image model"),
        ("name: a\nimage: gone.onnx", "there is no file gone.onnx"),
        ("name: a\nimage: image.onnx\nmean: [1, 2]", "mean is three numbers"),
        ("name: a\nimage: image.onnx\nresize: fold", "resize is one of crop, stretch"),
        ("name: a\nimage: image.onnx\ntokeniser: x", "tokeniser is not known"),
        ("name: a\nimage: image.onnx\nmean: [1e39, 1, 1]", "mean is three numbers"),
        ("- a", "describes no encoder"),
        ("{", "not YAML"),
    ],
)
def test_what_describes_no_encoder_is_refused_in_one_line(described, wrong, why):
    described.write_text(wrong)
    with pytest.raises(ConfigError, match=why):
        Encoder(described)


def test_models_and_tables_that_do_not_fit_are_refused_in_one_line(described):
    described.write_text("name: a\nimage: text.onnx\ntexts: texts.npz\nsize: 8\n")
    encoder = Encoder(described)
    with pytest.raises(ConfigError, match="the image model failed"):
        encoder.of_image(plain(0))
    with pytest.raises(ConfigError, match="'a red door' is not in its table .*something blue"):
        encoder.of_text("a red door")
    for nothing in ("", "  "):
        with pytest.raises(ConfigError, match="says nothing"):
            encoder.of_text(nothing)
    table = described.parent / "texts.npz"
    for content in (b"no table", b"", b"PK\3\4, cut", b"\x93NUMPY"):
        table.write_bytes(content)
        with pytest.raises(ConfigError, match="no table of texts"):
            encoder.of_text("red")
    with open(table, "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(ConfigError, match="no table of texts"):
        encoder.of_text("red")
    for wrong in ([[1j, 1]], [[1e300, 1]], [[np.nan, 1]], [[0, 0]], [["a", "b"]], [1]):
        np.savez(table, texts=["red"], vectors=wrong)
        with pytest.raises(ConfigError, match="texts.npz"):
            encoder.of_text("red")
    (described.parent / "text.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="the image model cannot be loaded"):
        Encoder(described).of_image(plain(0))
    described.write_text("name: a\nimage: image.onnx\nsize: true\n")
    with pytest.raises(ConfigError, match="size is that of its pictures"):
        Encoder(described).of_image(plain(0))


def test_what_was_found_is_the_same_after_json(described):
    found = Looker(Looks(text=True, encoder=str(described))).look(sign())
    again = Found.of_json(found.as_json())
    assert again.texts == found.texts and again.encoder == "tiny"
    assert np.array_equal(again.vector, found.vector)
    assert Found.of_json(Found().as_json()) == Found()


def test_without_the_extra_one_line_says_what_to_install(described, monkeypatch):
    for module in (reading, encoders):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    for looks in (Looks(text=True), Looks(encoder=str(described))):
        with pytest.raises(ConfigError, match=r"pip install 'gaussvae_ros\[text\]'"):
            looks.check()
    Looks().check()


class Findings:
    """What a Background found, to be waited for."""

    def __init__(self):
        self.found, self._changed = [], threading.Condition()

    def __call__(self, tag, found):
        with self._changed:
            self.found.append((tag, found))
            self._changed.notify()

    def wait(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.found) >= count, 300)


def test_another_process_looks_that_gives_way_and_ends_with_this_one():
    findings = Findings()
    background = Background(Looks(text=True), findings, period=0.0)
    try:
        for name in ("left", "right"):
            background.offer(name, name, sign(f"{name.upper()}"))
        findings.wait(2)
        assert {tag: [t.text for t in found.texts] for tag, found in findings.found} == {
            "left": ["LEFT"],
            "right": ["RIGHT"],
        }
        pid = background._process.pid
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    finally:
        background.close(60)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_dies_is_told_of_and_started_again_later(monkeypatch, caplog):
    from gaussvae_ros.looking import background as module

    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    findings = Findings()
    background = Background(Looks(text=True), findings, period=0.0)
    try:
        background.offer("a", 1, sign())
        findings.wait(1)
        os.kill(background._process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 300
        while len(findings.found) < 2 and time.monotonic() < deadline:
            background.offer("a", 2, sign())
            time.sleep(0.05)
        assert findings.found[1][0] == 2 and "not looked at" in caplog.text
    finally:
        background.close(60)


def test_what_cannot_begin_says_why(caplog):
    findings = Findings()
    background = Background(Looks(encoder="/no/such.yaml"), findings)
    try:
        background.offer("a", 1, sign())
        deadline = time.monotonic() + 300
        while "/no/such.yaml" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "No such file" in caplog.text and not findings.found
    finally:
        background.close(60)
