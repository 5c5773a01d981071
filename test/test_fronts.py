"""Fronts of peers, and curves read at a size: nothing that is kept is beaten."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_peers import scene

from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.evaluation import fronts, peers, streams
from gaussvae_ros.evaluation.encoders import STILLS
from gaussvae_ros.evaluation.fronts import Coded, Fronts, at_size, best_of, front
from gaussvae_ros.evaluation.metrics import psnr

IMAGE = scene((120, 161, 3))
ABSENT = streams.missing(STILLS)


def point(size: int, quality: float) -> Coded:
    return Coded(size, quality, quality / 50, quality / 40, 1.0)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=30))
def test_what_is_kept_beats_all_of_fewer_bytes_and_nothing_left_out_does(pairs):
    kept = best_of([point(*p) for p in pairs])
    assert [c.bytes for c in kept] == sorted({c.bytes for c in kept})
    assert [c.psnr for c in kept] == sorted({c.psnr for c in kept})
    for size, quality in pairs:
        assert any(c.bytes <= size and c.psnr >= quality for c in kept)


def test_a_front_read_at_a_size():
    coded = [point(100 * 2**k, 20 + 3 * k) for k in range(4)]  # a line through log bytes
    assert at_size(coded, 200) == pytest.approx(23)
    assert at_size(coded, 100 * 2**1.5) == pytest.approx(24.5)
    assert at_size(coded, 283, "ssim") == pytest.approx(at_size(coded, 283) / 50)
    assert at_size(coded, 99) is None and at_size(coded, 801) is None
    assert at_size(coded[:1], 100) is None and at_size([], 100) is None
    worse = point(500, 10)  # a point that costs more and is worse changes nothing
    assert at_size([*coded, worse], 500) == at_size(coded, 500)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_a_front_is_made_of_real_files(codec):
    found = front([IMAGE], codec, 500, 2000)
    assert found[-1].bytes > 2000 and found == best_of(found)
    for coded in (found[0], found[len(found) // 2], found[-1]):
        data = peers.encode(peers.shrink(IMAGE, coded.scale), codec, int(coded.quality))
        assert len(data) == coded.bytes
        picture = peers.enlarge(peers.decode(data, 3), IMAGE.shape)
        assert psnr(IMAGE, picture) == pytest.approx(coded.psnr)


def test_a_front_reaches_beyond_the_largest_size_wherever_that_is():
    """Steps are wide: the first still beyond that size may be half as large again."""
    for largest in range(700, 2100, 200):
        found = front([IMAGE], "jpeg", 500, largest)
        assert found[-1].bytes > largest and at_size(found, largest) is not None


def test_a_front_is_as_good_as_trying_everything():
    found = front([IMAGE], "webp", 400, 2000)
    made = []
    for scale in peers.SCALES:
        for quality in range(0, 96, 3):
            data = peers.encode(peers.shrink(IMAGE, scale), "webp", quality)
            picture = peers.enlarge(peers.decode(data, 3), IMAGE.shape)
            made.append(point(len(data), psnr(IMAGE, picture)))
    for size in (400, 700, 1100, 2000):
        assert at_size(found, size) == pytest.approx(at_size(made, size), abs=0.02)


@pytest.mark.skipif(bool(ABSENT), reason=f"no peers: {ABSENT}")
@pytest.mark.parametrize("image", [IMAGE, IMAGE[..., 0]], ids=["rgb", "mono"])
def test_stills_have_fronts_too(image):
    found = front([image], "hevc", 200, 600)
    assert found[0].bytes < 200 and found[-1].bytes > 600
    small = peers.shrink(image, found[3].scale)
    stream = streams.encode([small], STILLS["hevc"], int(found[3].quality))
    assert streams.payload_bytes(stream, "hevc") == found[3].bytes
    (picture,) = streams.decode(stream, STILLS["hevc"], small.shape)
    assert psnr(image, peers.enlarge(picture, image.shape)) == pytest.approx(found[3].psnr)


def test_a_missing_codec_and_a_picture_that_is_none_are_refused(monkeypatch):
    monkeypatch.setattr(streams, "missing", lambda _: {"vvc": "not here"})
    with pytest.raises(GaussVaeError, match="vvc: not here"):
        front([IMAGE], "vvc", 100, 200)
    with pytest.raises(ImageError):
        front([np.zeros((20, 20), np.float32)], "jpeg", 100, 200)


def test_fronts_are_kept_and_made_anew_when_anything_changes(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(fronts, "front", lambda *a: made.append(a) or [point(7, 20.0)])
    path = tmp_path / "peers.json"
    kept = Fronts(path, 200, 300)
    assert (
        kept.of([IMAGE], "webp") == kept.of([IMAGE], "webp") == [point(7, 20.0)] and len(made) == 1
    )
    assert Fronts(path, 200, 300).of([IMAGE], "webp") == [point(7, 20.0)] and len(made) == 1
    Fronts(path, 200, 400).of([IMAGE], "webp")
    kept.of([IMAGE], "jpeg")
    kept.of([IMAGE[::-1]], "webp")
    assert len(made) == 4
    if not ABSENT:
        kept.of([IMAGE], "hevc")
        slower = replace(STILLS["hevc"], coarsest=40)
        monkeypatch.setitem(fronts.STREAMS, "hevc", slower)
        kept.of([IMAGE], "hevc")
        assert len(made) == 6


@pytest.mark.parametrize("content", ["", "[1, 2", "{}"])
def test_a_damaged_store_is_begun_anew(tmp_path, content, monkeypatch):
    monkeypatch.setattr(fronts, "front", lambda *_: [point(7, 20.0)])
    path = tmp_path / "peers.json"
    path.write_text(content)
    Fronts(path, 200, 300).of([IMAGE], "webp")
    assert len(json.loads(path.read_text())) == 1
