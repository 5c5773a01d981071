"""Frames that wait for a key record after them: order, what is kept, and what an error costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import drive, view

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.sequence import AHEAD, Coded, SequenceEncoder, encode_sequence
from gaussvae_ros.sequence.stored_records import BESIDE, StoredRecords

CODEC = FrameCodec(device="cpu")
QUALITY = 30


def pushed(encoder: SequenceEncoder, images: list[np.ndarray]) -> list[list[Coded]]:
    """What comes back with each image, tagged by its place, and at the end."""
    given = [encoder.encode(image, QUALITY, tag=place) for place, image in enumerate(images)]
    return [*given, encoder.flush()]


@settings(max_examples=8, deadline=None)
@given(
    ahead=st.integers(0, 3),
    scenes=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=4),
)
def test_every_frame_comes_back_once_behind_what_it_needs(ahead, scenes):
    images = [view(4 * i, scene) for scene, count in scenes for i in range(count)]
    stored, known, out = StoredRecords(), {}, 0
    for place, made in enumerate(pushed(SequenceEncoder(CODEC, ahead), images), 1):
        for one in made:
            assert stored.reference(one) == (known[one.needed[-1]] if one.needed else None)
            assert one.tag not in known.values()
            known[one.data] = one.tag
            stored.stored(one, one.tag)
            assert CODEC.decode(one.records).shape == images[one.tag].shape
        out += len(made)
        assert min(place, len(images)) - out <= ahead
    assert out == len(images)


def test_a_key_record_serves_the_frames_on_both_sides():
    images = drive(12)
    there, back = (encode_sequence(CODEC, images, QUALITY, ahead) for ahead in (AHEAD, 0))
    keys = [place for place, one in enumerate(there) if not one.needed]
    before = [one.needed[0] == there[keys[0]].data for one in there[: keys[0]] if one.needed]
    assert keys[0] == 1 and before == [True]
    sizes = [sum(len(one.data) for one in made) for made in (there, back)]
    quality = [
        np.mean([psnr(i, CODEC.decode(one.records)) for i, one in zip(images, made)])
        for made in (there, back)
    ]
    assert sizes[0] < sizes[1] or quality[0] > quality[1]


def test_without_waiting_each_frame_comes_back_at_once():
    assert [len(made) for made in pushed(SequenceEncoder(CODEC, 0), drive(4))] == [1, 1, 1, 1, 0]


def test_a_frame_before_a_scene_change_does_not_need_the_scene_after_it():
    images = [view(0, 0), view(0, 1), view(3, 1), view(6, 1)]
    first, *others = encode_sequence(CODEC, images, QUALITY)
    assert first.needed == () and psnr(images[0], CODEC.decode(first.records)) > 20
    assert any(one.needed for one in others)


@pytest.mark.parametrize(
    "wrong", [{"image": np.zeros((4, 4, 2), np.uint8)}, {"quality": 101}, {"effort": "most"}]
)
def test_what_is_no_frame_is_refused_and_costs_the_others_nothing(wrong):
    encoder = SequenceEncoder(CODEC)
    encoder.encode(view(), QUALITY, tag="before")
    with pytest.raises((ImageError, GaussVaeError)):
        encoder.encode(**({"image": view(3)} | wrong))
    made = [*encoder.encode(view(3), QUALITY, tag="after"), *encoder.flush()]
    assert {one.tag for one in made} == {"before", "after"}


def test_an_error_of_the_codec_costs_those_that_wait_and_no_others():
    class Failing(FrameCodec):
        failing = False

        def encode(self, *given, **named):
            if self.failing:
                raise GaussVaeError("no")
            return super().encode(*given, **named)

    codec = Failing(device="cpu")
    encoder = SequenceEncoder(codec)
    assert encoder.encode(view(), QUALITY) == []
    codec.failing = True
    with pytest.raises(GaussVaeError):
        encoder.encode(view(3), QUALITY)
    codec.failing = False
    assert encoder.flush() == []
    encoder.encode(view(6), QUALITY, tag=2)
    assert [one.tag for one in encoder.flush()] == [2]


@pytest.mark.parametrize("ahead", [AHEAD, 16])
def test_what_later_frames_need_is_kept_however_many_wait(ahead):
    """Many scenes after a calm one: as many frames as may wait, each alone, and their key."""
    calm, scenes = [view()] * 24, [view(0, 10 + i) for i in range(ahead)]
    images = [*calm, *scenes, *(view(3 * i, 9) for i in range(3))]
    stored, most, known, tags = StoredRecords(ahead), 0, {}, []
    for made in pushed(SequenceEncoder(CODEC, ahead), images):
        most = max(most, len(made))
        for one in made:
            assert stored.reference(one) == (known[one.needed[-1]] if one.needed else None)
            known[one.data] = one.tag
            stored.stored(one, one.tag)
            tags.append(one.tag)
    assert sorted(tags) == list(range(len(images))) and most == ahead + 1
    assert len(stored._known) <= 10 + ahead


def test_few_records_are_kept_however_long_the_sequence():
    stored = StoredRecords()
    key = Coded(b"key")
    stored.stored(key, 0)
    for i in range(1, 100):
        one = Coded(b"%d" % i, (key.data,))
        assert stored.reference(one) == 0
        stored.stored(one, i)
        assert stored.reference(Coded(b"x", (key.data, one.data))) == i
    assert len(stored._known) == BESIDE + AHEAD
