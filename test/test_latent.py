"""Payloads and their models: real frames, models at hand and missing, and what is refused."""

import hashlib
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera import CODEC, frame, run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from priors import random_prior

from gaussvae_ros import model_files
from gaussvae_ros.codec import DEFAULT_MODEL, FrameCodec
from gaussvae_ros.errors import GaussVaeError, ModelError, RecordError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import dct_floor
from gaussvae_ros.fit import fit
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.raster.cpu import split
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.training import models as networks
from gaussvae_ros.training.anchors import Anchors
from gaussvae_ros.vae import encoder, models
from gaussvae_ros.vae.latent import FEWEST, HEADER, MOST, LatentCodec
from gaussvae_ros.vae.models import HASH_BYTES
from gaussvae_ros.vae.prior import Prior

DATA = Path(__file__).parents[2] / "shared" / "data"
REAL = [  # frames of sequences that training did not see
    "seq_tum_fr1_rpy/rgb_lossless16",
    "seq_zed_lab_c",
    "pr_corridor_loop",
    "pr_michigan_seasons",
]


@pytest.fixture(scope="module")
def record():
    return CODEC.encode(frame())


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The file of another model that makes records."""
    path = tmp_path_factory.mktemp("models") / "other.safetensors"
    path.write_bytes(models.model_file(random_prior(1), {}))
    return path


@pytest.fixture(scope="module")
def frames():
    """One frame of 640x480 from each real sequence."""
    if not DATA.is_dir():
        pytest.skip("the shared sequences are not here")
    out = []
    for folder in REAL:
        files = sorted(f for f in (DATA / folder).rglob("*") if f.suffix in (".jpg", ".png"))
        image = read_image(files[len(files) // 2])
        height, width = image.shape[:2]
        w, h = min(width, height * 4 // 3), min(height, width * 3 // 4)
        x, y = (width - w) // 2, (height - h) // 2
        part = image[y : y + h, x : x + w]
        out.append(cv2.resize(part, (640, 480), interpolation=cv2.INTER_AREA))
    return out


# Real frames


def test_three_qualities_of_real_frames(frames):
    """Bytes of each; more bytes are a better picture; 512 numbers kept are far below."""
    sizes, scores = {}, {}
    for quality, (least, most) in {25: (110, 300), 50: (220, 560), 75: (430, 1250)}.items():
        datas = [CODEC.encode(f, quality=quality) for f in frames]
        sizes[quality] = [len(data) for data in datas]
        scores[quality] = [psnr(f, CODEC.decode(d)) for f, d in zip(frames, datas, strict=True)]
        assert all(least <= size <= most for size in sizes[quality]), sizes
    assert np.mean(sizes[50]) <= 512
    assert all(a < b < c for a, b, c in zip(*scores.values(), strict=True)), scores
    floor = np.mean([psnr(f, dct_floor(f)) for f in frames])
    assert np.mean(scores[50]) > floor + 2, (scores, floor)


def test_bits_that_count_in_the_descent_are_fewer_and_cost_little(frames):
    """Beside a fit by error alone: at least 1.5 % of the bytes, at most 0.15 dB."""
    prior, sizes, scores = models.Models().load(DEFAULT_MODEL).prior, [], []
    for weighed in (prior, None):
        grids = [encoder.encode(f, 128, "fast", weighed) for f in frames]
        sizes.append(np.mean([len(prior.write(g)) for g in grids]))
        pictures = [CODEC.decode(_record(prior, g)) for g in grids]
        scores.append(np.mean([psnr(f, p) for f, p in zip(frames, pictures, strict=True)]))
    assert sizes[0] < 0.985 * sizes[1] and scores[0] > scores[1] - 0.15, (sizes, scores)


def test_a_fit_from_elsewhere_is_rounded_as_finely_as_one_s_own():
    """A fit comes without the error that says how finely: it is measured."""
    codec, image = LatentCodec(DEFAULT_MODEL), frame(320, 240)
    state = Descent(*split(fit(image, 128).params))
    precisions = [
        payload[HASH_BYTES]
        for payload in (codec.encode(image, 128, "fast"), codec.encode_fit(image, state, "fast"))
    ]
    assert abs(precisions[0] - precisions[1]) <= 2


def _record(prior: Prior, g) -> bytes:
    count = len(g.cell).to_bytes(2, "little")
    payload = models.decoding_hash(prior) + bytes([g.precision]) + count + prior.write(g)
    return pack(Record("latent", g.size, payload))


def test_more_effort_is_a_better_picture_on_average(frames):
    best, fast = (
        np.mean([psnr(f, CODEC.decode(CODEC.encode(f, effort=effort))) for f in frames])
        for effort in ("best", "fast")
    )
    assert best > fast


# Models


def test_a_new_process_needs_record_and_model_file_only(record, tmp_path):
    shutil.copy(models.find(DEFAULT_MODEL), tmp_path / "m.safetensors")
    (tmp_path / "r").write_bytes(record)
    code = """if True:
        import hashlib, sys
        from pathlib import Path
        import gaussvae_ros.codec as c
        codec = c.FrameCodec(model=sys.argv[1] + "/m.safetensors")
        image = codec.decode(Path(sys.argv[1], "r").read_bytes())
        print(hashlib.sha256(image.tobytes()).hexdigest(), "torch" in sys.modules)
    """
    expected = hashlib.sha256(CODEC.decode(record).tobytes()).hexdigest()
    assert run_python(code, tmp_path).split() == [expected, "False"]


def test_a_record_of_a_model_that_is_missing_says_which_and_where_it_was_looked_for(other):
    data = FrameCodec(device="cpu", model=other).encode(frame())
    made = unpack(data).payload[:HASH_BYTES].hex()
    text = rf"made with model {made}, which is not here; there is .*anchors \(.*Looked in .*models"
    with pytest.raises(ModelError, match=text) as error:
        CODEC.decode(data)
    assert "\n" not in str(error.value)


def test_records_of_every_model_at_hand_decode(record, other):
    """Beside the one that encodes: those that ship, and those in a folder."""
    maker = FrameCodec(device="cpu", model=other)
    data = maker.encode(frame())
    expected = maker.decode(data)
    assert np.array_equal(maker.decode(record), CODEC.decode(record))  # found by its hash
    beside = FrameCodec(device="cpu", models=[other.parent])
    assert beside.encode(frame()) == record and np.array_equal(beside.decode(data), expected)


def test_a_changed_card_leaves_records_readable(other, tmp_path):
    """The hash is over what decoding needs; the first release named a model by its whole file."""
    data = FrameCodec(device="cpu", model=other).encode(frame())
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(models.model_file(random_prior(1), {"about": "other words"}))
    codec = FrameCodec(device="cpu", model=renamed)
    assert codec.encode(frame()) == data and codec.decode(data).shape == (120, 160, 3)
    old = hashlib.sha256(other.read_bytes()).digest()[:HASH_BYTES]
    first_release = pack(Record("latent", (160, 120), old + unpack(data).payload[HASH_BYTES:]))
    by_old_name = FrameCodec(device="cpu", model=other).decode(first_release)
    assert np.array_equal(by_old_name, codec.decode(data))


def test_models_of_other_numbers_have_other_hashes(other):
    tensors = models.Models().load(other).prior.tensors()
    hashes = {models.decoding_hash(Prior.from_tensors(tensors))}
    for name in ("scale_bias0", "colour2_weight2", "angle_mean"):
        changed = {**tensors, name: tensors[name].copy()}
        changed[name].flat[0] += 1
        hashes.add(models.decoding_hash(Prior.from_tensors(changed)))
    assert len(hashes) == 4


def test_models_that_are_not_there_or_make_no_records(tmp_path, other):
    (tmp_path / "text.safetensors").write_text("no model")
    damaged = bytearray(other.read_bytes())
    damaged[-5] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(damaged)
    networks.save(Anchors(), tmp_path / "new.safetensors", {})
    for name, text in {
        "nobody": "there is no model 'nobody'; there is .*anchors",
        tmp_path / "none.safetensors": "no such model file",
        tmp_path / "text.safetensors": "cannot be read as a model",
        tmp_path / "damaged.safetensors": "is damaged",
        tmp_path / "new.safetensors": "makes no records",
    }.items():
        with pytest.raises(ModelError, match=text) as error:
            FrameCodec(device="cpu", model=name).encode(frame())
        assert "\n" not in str(error.value)


def test_no_models_folder_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(model_files, "model_folders", lambda: [tmp_path / "models"])
    text = f"there is no model '{DEFAULT_MODEL}'; there is none installed"
    with pytest.raises(ModelError, match=text):
        FrameCodec(device="cpu").encode(frame())


# Damage


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_flipped_and_truncated_records_are_always_found(record, data):
    flipped = bytearray(record)
    for bit in data.draw(st.sets(st.integers(0, 8 * len(record) - 1), min_size=1, max_size=3)):
        flipped[bit // 8] ^= 1 << bit % 8
    short = record[: data.draw(st.integers(0, len(record) - 1))]
    for changed in (bytes(flipped), short, record + b"\0"):
        with pytest.raises(RecordError) as error:
            CODEC.decode(changed)
        assert "\n" not in str(error.value)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_altered_payloads_with_a_right_checksum_give_a_picture_or_an_error(record, data):
    """The model's name stays, so that the damage reaches every later stage of the decoder."""
    payload = bytearray(unpack(record).payload)
    for at in data.draw(st.lists(st.integers(HASH_BYTES, len(payload) - 1), max_size=4)):
        payload[at] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))] + data.draw(st.binary(max_size=20))
    side = st.one_of(st.integers(1, 200), st.sampled_from([1, 65535]))
    size, begun = (data.draw(side), data.draw(side)), time.process_time()
    try:
        image = CODEC.decode(pack(Record("latent", size, bytes(payload))), (80, 60))
        assert image.shape[:2] == (60, 80) and image.dtype == np.uint8
    except (RecordError, ModelError) as error:
        assert str(error) and "\n" not in str(error)
    assert time.process_time() - begun < 10


def test_the_worst_payloads_stay_within_time(record):
    """All precisions, the most splats, streams of all kinds, on small and large frames."""
    rng, name = np.random.default_rng(0), unpack(record).payload[:HASH_BYTES]
    begun = time.process_time()
    for k in range(8):
        count = (MOST, MOST | 0x8000, FEWEST)[k % 3].to_bytes(2, "little")
        head = bytes([(0, 64, 128, 200, 255)[k % 5]]) + count
        body = (b"", bytes(4000), b"\xff" * 4000, rng.bytes(20000))[k % 4]
        size = ((640, 480), (65535, 65535), (1, 1), (65535, 1))[k % 4]
        try:
            CODEC.decode(pack(Record("latent", size, name + head + body)), (640, 480))
        except RecordError:
            pass
    assert time.process_time() - begun < 120


@pytest.mark.parametrize("count", [0, FEWEST - 1, MOST + 1, 0x7FFF])
def test_impossible_numbers_of_splats(record, count):
    payload = unpack(record).payload
    damaged = payload[:4] + count.to_bytes(2, "little") + payload[HEADER:]
    with pytest.raises(GaussVaeError, match=f"claims {count} splats"):
        CODEC.decode(pack(Record("latent", (160, 120), damaged)))
