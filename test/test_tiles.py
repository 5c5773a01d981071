"""Frames of more than 2 megapixels in tiles: bytes, regions, seams, and all that is done with
records."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from camera import CODEC, count_of, frame
from formatrecord import read, tensors_of
from formattiles import laid, tiles_of

from gaussvae_ros import tiles
from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import DEFAULT_MODEL, FrameCodec
from gaussvae_ros.errors import RecordError
from gaussvae_ros.maintenance.coarsening import Coarsening
from gaussvae_ros.maintenance.needed_models import needs
from gaussvae_ros.model_files import find
from gaussvae_ros.recognition.places import describe
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.sequence import SequenceEncoder
from gaussvae_ros.tiles import Layout, packed
from gaussvae_ros.vae.latent import LatentCodec
from gaussvae_ros.vae.models import HASH_BYTES

DATA = Path(__file__).parent / "data"
SIZE = 2112, 1000  # px, 4 x 2 tiles


def picture() -> np.ndarray:
    """The frame that was encoded, uint8 [1000, 2112, 3]."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    waves = [128 + 100 * np.sin(x / 170 + k) * np.cos(y / (90 + 40 * k)) for k in range(3)]
    image = np.stack(waves, 2).astype(np.uint8)
    image[300:700, 900:1500] = image[300:700, 900:1500] // 3 + 20
    return image


@pytest.fixture(scope="module")
def record():
    return CODEC.encode(picture(), quality=25)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean(np.square(one.astype(float) - other)))


def test_a_large_frame_takes_as_many_bytes_a_pixel_as_a_small_one():
    image = frame(*SIZE)
    small = len(CODEC.encode(np.ascontiguousarray(image[200:680, 900:1540]), quality=0))
    record = unpack(CODEC.encode(image, quality=0))
    assert record.tier == "tiles" and len(Layout.of(record.size)) == 8
    whole = len(record.payload) / (SIZE[0] * SIZE[1])
    assert 0.5 < whole / (small / (640 * 480)) < 1.8


@pytest.mark.parametrize(
    "size, across, down",
    [
        ((1920, 1080), 1, 1),
        ((2048, 1024), 1, 1),
        ((2049, 1024), 4, 2),
        ((3840, 2160), 7, 4),
        ((2160, 3840), 4, 7),
        ((65535, 33), 118, 1),
        ((8192, 8192), 15, 15),
    ],
)
def test_tiles_are_about_as_large_as_a_frame_of_640x480(size, across, down):
    layout = Layout.of(size)
    assert (layout.across, layout.down) == (across, down)
    if len(layout) > 1:
        assert layout.columns[0][0] == 0 and layout.columns[-1][1] == size[0]
        for (_, end), (begin, _) in zip(layout.columns, layout.columns[1:]):
            assert end - begin == 2 * tiles.OVERLAP
        data = packed(size, [b"abcd" + bytes([k]) for k in range(len(layout))])
        assert tiles.opened(unpack(data)).layout == layout


def test_detail_is_that_of_a_small_frame(record):
    back = CODEC.decode(record)
    assert back.shape == picture().shape and psnr(back, picture()) > 30
    assert len(CODEC.splats(record).params) == 8 * 64
    assert CODEC.splats(record).size == SIZE


@pytest.mark.parametrize(
    "roi, touched",
    [((1200, 100, 64, 48), 1), ((500, 100, 64, 64), 2), ((500, 470, 60, 60), 4)],
)
def test_a_region_is_that_of_the_whole_and_decodes_nothing_else(record, monkeypatch, roi, touched):
    x, y, w, h = roi
    whole, decoded = CODEC.decode(record), []
    decode = LatentCodec.decode
    monkeypatch.setattr(LatentCodec, "decode", lambda *a: decoded.append(a) or decode(*a))
    part = CODEC.decode(record, roi=roi)
    np.testing.assert_array_equal(part, whole[y : y + h, x : x + w])
    assert len(decoded) == touched
    larger = CODEC.decode(record, (2 * w, 2 * h), roi)
    assert psnr(larger[::2, ::2], part) > 30


def test_thumbnails_are_small_pictures_of_the_whole(record):
    whole = CODEC.decode(record)[:1000, :2112]
    small = CODEC.decode(record, (264, 125))
    mean = whole.reshape(125, 8, 264, 8, 3).mean((1, 3))
    assert psnr(small, mean) > 40
    like = [describe(image).astype(float) for image in (CODEC.decode(record, (96, 72)), whole)]
    assert np.dot(*like) / np.linalg.norm(like[0]) / np.linalg.norm(like[1]) > 0.9


def seam(image: np.ndarray, layout: Layout, axis: int) -> float:
    """The largest mean step near borders of tiles along an axis over that further inside."""
    steps = np.abs(np.diff(image.astype(float), axis=axis)).mean((1 - axis, 2))
    side, count = (layout.size[0], layout.across) if axis else (layout.size[1], layout.down)
    near, inside = [], []
    for border in (side * k // count for k in range(1, count)):
        near.append(steps[border - 34 : border + 33].max())
        inside += [steps[border - 130 : border - 40], steps[border + 40 : border + 130]]
    return np.mean(near) / np.mean(inside)


def test_no_seam_is_visible(record):
    """Beside tiles that end where the next begins, and the picture that was encoded."""
    layout, pictures = Layout.of(SIZE), []
    for tile in tiles_of(record)[3]:
        pictures.append(CODEC.decode(tile))
    hard, (columns, rows) = np.zeros((*SIZE[::-1], 3), np.uint8), (layout.columns, layout.rows)
    for k, one in enumerate(pictures):  # each over half of the overlap
        (left, right), (top, bottom) = columns[k % 4], rows[k // 4]
        cut_x, cut_y = (32 if left else 0), (32 if top else 0)
        hard[top + cut_y : bottom, left + cut_x : right] = one[cut_y:, cut_x:]
    back = CODEC.decode(record)
    for axis in (0, 1):
        own, blended = seam(picture(), layout, axis), seam(back, layout, axis)
        assert blended < 2.2 * own and seam(hard, layout, axis) > 1.5 * blended


def test_the_documented_reader_reads_tiles(record):
    size, overlap, spans, alone = tiles_of(record)
    assert size == SIZE and overlap == 32 and len(alone) == 8
    pictures = [CODEC.decode(tile) for tile in alone]
    difference = laid(pictures, spans, overlap).astype(int) - CODEC.decode(record)
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.01
    models = dict([tensors_of(find(DEFAULT_MODEL))])
    [page] = read(alone[5:6], models)
    splats = CODEC.splats(alone[5])
    assert len(page.rgb) == len(splats.params) == count_of(alone[5])


def test_a_record_that_was_written_decodes_for_ever():
    data = (DATA / "tiles1.record").read_bytes()
    assert psnr(CODEC.decode(data), picture()) > 24
    assert unpack(data).tier == "tiles"


def test_grey_frames_and_several_at_once():
    grey = picture()[..., 0].copy()
    small = np.ascontiguousarray(grey[:120, :160])
    one, other = CODEC.encode_many([grey, small], quality=0)
    assert one == CODEC.encode(grey, quality=0) and unpack(other).tier == "latent"
    assert CODEC.decode(one).shape == grey.shape
    assert CODEC.decode(one, roi=(0, 0, 9, 8)).shape == (8, 9)


def test_nothing_is_predicted_from_tiles_nor_they(record):
    assert CODEC.predict(picture(), 25, record) is None
    assert CODEC.encode(picture(), 25, reference=record) == record
    tiled = unpack(record)
    claimed = pack(Record("predicted", SIZE, tiled.payload, int.from_bytes(record[-4:], "little")))
    with pytest.raises(RecordError, match="no record is predicted from one in tiles"):
        CODEC.decode([record, claimed])
    small = np.ascontiguousarray(picture()[:120, :160])
    encoder, made = SequenceEncoder(CODEC), []
    for tag, image in enumerate((small, small, picture(), small)):
        made += encoder.encode(image, 25, tag=tag)
    made += encoder.flush()
    assert [one.tag for one in made][-1] == 3 and sorted(one.tag for one in made) == [0, 1, 2, 3]
    [large] = [one for one in made if one.tag == 2]
    assert large.data == record and not large.needed
    for one in made:
        CODEC.decode(one.records, (16, 12))


def test_a_memory_holds_them_as_any_other(record, tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add(record, stamp_ns=1)
        [need] = needs(bank)
        assert need.records == 1 and need.name == DEFAULT_MODEL
        assert bank.verify() == [] and bank.info()["tiers"] == {"tiles": 1}
        kept = FrameCodec(device="cpu", remember=1 << 22, models=[bank])
        for _ in range(2):
            part = kept.decode(bank.get(1).records, roi=(600, 100, 32, 32))
            np.testing.assert_array_equal(part, CODEC.decode(record, roi=(600, 100, 32, 32)))
        assert Coarsening(CODEC, 25)([bank.get(1)]) == {}  # not much finer
        [(data, reference)] = Coarsening(CODEC, 0)([bank.get(1)]).values()
        assert unpack(data).tier == "tiles" and reference is None
        assert len(data) < 0.9 * len(record)
        bank.replace({1: (data, None)})
        assert bank.get(1).data == data


def damaged(record: bytes, change) -> bytes:
    whole = unpack(record)
    return pack(replace(whole, payload=change(whole.payload)))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p[:5],
        lambda p: p[:3] + b"\0" + p[4:],  # no tile across
        lambda p: p[:3] + b"\x09\x01" + p[5:],  # narrower than tiles are
        lambda p: p[:5] + b"\xff" + p[6:],  # more overlap than there is
        lambda p: p[:6] + b"\xff" * 5 + p[11:],  # a length of five bytes
        lambda p: p + b"\0",
        lambda p: p[:-1],
        lambda p: p[:3] + b"\x01\x01" + p[5:],  # one tile, and bytes behind it
    ],
)
def test_damage_is_told(record, change):
    with pytest.raises(RecordError, match="record is damaged"):
        CODEC.decode(damaged(record, change))


def test_tiles_of_several_kinds_are_told(record):
    grey, layout = CODEC.encode(picture()[..., 0].copy(), quality=0), Layout.of(SIZE)
    both = [tiles.opened(unpack(data)).payloads for data in (record, grey)]
    mixed = packed(SIZE, [both[k % 2][k] for k in range(len(layout))])
    with pytest.raises(RecordError, match="differ in their channels"):
        CODEC.decode(mixed)
    with pytest.raises(RecordError, match="differ in their channels"):
        CODEC.splats(mixed)


def test_a_few_bytes_claim_no_more_splats_than_they_can_hold(record):
    """Or a record of 2 KB would take minutes to decode."""
    tiled = tiles.opened(unpack(record))
    many = tiled.payloads[0][: HASH_BYTES + 1] + (8192).to_bytes(2, "little") + bytes(3)
    with pytest.raises(RecordError, match="claims 8192 splats in 3 bytes"):
        CODEC.decode(packed(SIZE, [many] * len(tiled.layout)))
