"""The latent tier through FrameCodec: what comes back, in how many bytes, and what is refused."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_latent_prior import random_prior

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError, ImageError, ModelError, RecordError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import dct_floor
from gaussvae_ros.fit import fit
from gaussvae_ros.raster.view import render
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.training import models as networks
from gaussvae_ros.vae import models
from gaussvae_ros.training.anchors import Anchors
from gaussvae_ros.vae.latent import HEADER, LatentCodec, splats_at
from gaussvae_ros.vae.models import HASH_BYTES
from gaussvae_ros.vae.prior import Prior

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
REAL = [  # frames of sequences that training did not see
    "seq_tum_fr1_rpy/rgb_lossless16",
    "seq_zed_lab_c",
    "pr_corridor_loop",
    "pr_michigan_seasons",
]
CODEC = FrameCodec(device="cpu")


def frame(width=160, height=120, seed=0) -> np.ndarray:  # uint8 [h, w, 3]
    """Soft shapes and some hard edges."""
    rng = np.random.default_rng(seed)
    soft = rng.uniform(0, 255, (4, 5, 3)).astype(np.float32)
    image = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(3):
        a, b = (tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height)) for _ in range(2))
        cv2.rectangle(image, a, b, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def encode(image, **how) -> bytes:
    return CODEC.encode(image, "latent", **how)


@pytest.fixture(scope="module")
def record():
    return encode(frame())


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The file of another model that makes records."""
    model = Anchors()
    model.prior = random_prior(1)
    path = tmp_path_factory.mktemp("models") / "other.safetensors"
    networks.save(model, path, {})
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
        out.append(
            cv2.resize(image[y : y + h, x : x + w], (640, 480), interpolation=cv2.INTER_AREA)
        )
    return out


def test_a_frame_comes_back(record):
    image = CODEC.decode(record)
    assert (image.shape, image.dtype) == ((120, 160, 3), np.uint8)
    assert psnr(frame(), image) > 25
    assert unpack(record).size == (160, 120) and unpack(record).tier == "latent"


def test_a_mono_frame_comes_back_mono():
    grey = frame()[..., 1]
    data = encode(grey)
    image = CODEC.decode(data)
    assert image.shape == (120, 160) and psnr(grey, image) > 25 and len(data) < len(encode(frame()))


def test_three_qualities_of_real_frames(frames):
    """Bytes of whole records, on average and each; more bytes are a better picture; 512 numbers kept are far below."""
    sizes, scores = {}, {}
    for quality, bytes_ in {25: (130, 300), 50: (280, 560), 75: (550, 1100)}.items():
        datas = [encode(f, quality=quality) for f in frames]
        sizes[quality] = [len(data) for data in datas]
        scores[quality] = [
            psnr(f, CODEC.decode(data)) for f, data in zip(frames, datas, strict=True)
        ]
        assert all(bytes_[0] <= size <= bytes_[1] for size in sizes[quality]), sizes
    assert np.mean(sizes[50]) <= 512
    assert all(a < b < c for a, b, c in zip(*scores.values(), strict=True)), scores
    floor = np.mean([psnr(f, dct_floor(f)) for f in frames])
    assert np.mean(scores[50]) > floor + 2, (scores, floor)


def test_quality_is_a_number_of_splats():
    size = (640, 480)
    assert [splats_at(q, size) for q in (0, 25, 50, 75, 100)] == [32, 64, 128, 256, 512]
    counts = [splats_at(q, size) for q in range(101)]
    assert counts == sorted(counts)
    assert unpack(encode(frame(), quality=75)).payload[4:HEADER] == (256).to_bytes(2, "little")


def test_more_effort_is_a_better_picture_on_average(frames):
    def mean(**how) -> float:
        return np.mean([psnr(f, CODEC.decode(encode(f, **how))) for f in frames])

    assert mean(effort="best") > mean()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mono", [False, True])
def test_every_tiny_size(mono):
    for width, height in [(1, 1), (1, 16), (2, 1), (3, 5), (7, 2), (16, 1), (16, 16)]:
        image = frame(width, height, seed=width)
        image = image[..., 0] if mono else image
        back = CODEC.decode(encode(image))
        assert back.shape == image.shape and back.dtype == np.uint8


def test_any_size_and_part(record):
    whole = CODEC.decode(record)
    small, part = CODEC.decode(record, size=(100, 75)), CODEC.decode(record, roi=(20, 30, 50, 40))
    assert (
        np.abs(
            small.astype(int) - cv2.resize(whole, (100, 75), interpolation=cv2.INTER_AREA)
        ).mean()
        < 1
    )
    assert np.abs(part.astype(int) - whole[30:70, 20:70]).max() <= 1
    assert CODEC.decode(record, size=(320, 240)).shape == (240, 320, 3)
    huge = pack(Record("latent", (65535, 65535), unpack(record).payload))
    with pytest.raises(GaussVaeError, match="65535x65535"):
        CODEC.decode(huge)
    with pytest.raises(GaussVaeError):
        CODEC.decode(record, roi=(0, 0, 161, 120))


def test_many_are_as_one_by_one():
    images = [frame(), frame(96, 64, 1), frame(50, 70, 2)[..., 0]]
    assert CODEC.encode_many(iter(images), "latent", 40) == [
        encode(image, quality=40) for image in images
    ]


def test_a_batch_on_a_gpu_keeps_order_and_sizes(monkeypatch):
    """With the CPU fit in place of the GPU's: what is tested is the way around it."""
    stand_in = types.ModuleType("gaussvae_ros.fit.cuda")
    stand_in.fit_many = lambda images, n, effort, plans: [fit(image, n, effort) for image in images]
    monkeypatch.setitem(sys.modules, "gaussvae_ros.fit.cuda", stand_in)
    codec = FrameCodec(device="cpu")
    codec._gpu = True
    images = [
        frame(),
        frame(40, 30, 1),
        frame(160, 120, 2),
        frame(96, 64, 3)[..., 0],
        frame(3, 2, 4),
    ]
    for image, data in zip(images, codec.encode_many(images, "latent"), strict=True):
        assert CODEC.decode(data).shape == image.shape
        assert psnr(image, CODEC.decode(data)) > psnr(image, CODEC.decode(encode(image))) - 3


def test_fitted_splats_become_the_same_kind_of_record():
    """Without the frame: what they draw comes near to a fit of the frame."""
    image, codec = frame(320, 240), LatentCodec()
    splats = codec.decode(codec.encode_splats(fit(image), 50), (320, 240))
    assert psnr(image, render(splats)) > psnr(image, CODEC.decode(encode(image))) - 3


PROCESS = """if True:
    import hashlib, sys
    sys.path.insert(0, "test")
    from gaussvae_ros import kernels
    kernels.use_threads(int(sys.argv[1]))
    from test_latent_tier import CODEC, encode, frame
    data = bytes.fromhex(sys.argv[2])
    print(encode(frame()).hex())
    print(hashlib.sha256(CODEC.decode(data).tobytes()).hexdigest())
"""


def test_the_same_bytes_and_picture_with_one_and_two_threads(record):
    found = {_python(PROCESS, threads, record.hex()) for threads in (1, 2)}
    picture = hashlib.sha256(CODEC.decode(record).tobytes()).hexdigest()
    assert len(found) == 1
    lines = found.pop().split()
    assert lines == [record.hex(), picture]


def test_a_new_process_needs_record_and_model_file_only(record, tmp_path):
    shutil.copy(models.find("anchors"), tmp_path / "m.safetensors")
    (tmp_path / "r").write_bytes(record)
    code = """if True:
        import hashlib, sys
        from pathlib import Path
        import gaussvae_ros.codec as c
        import gaussvae_ros.fit as fit
        fit.descend = None
        image = c.FrameCodec(model=sys.argv[1] + "/m.safetensors").decode(Path(sys.argv[1], "r").read_bytes())
        print(hashlib.sha256(image.tobytes()).hexdigest())
    """
    assert (
        _python(code, tmp_path).strip()
        == hashlib.sha256(CODEC.decode(record).tobytes()).hexdigest()
    )


def test_no_tier_needs_torch_and_splats_no_model():
    code = """if True:
        import sys
        import numpy as np
        from gaussvae_ros.codec import FrameCodec
        image = np.zeros((20, 30, 3), np.uint8)
        codec = FrameCodec(model="no_such_model")
        codec.decode(codec.encode(image, "splats"))
        codec = FrameCodec()
        codec.decode(codec.encode(image, "latent"))
        print("torch" in sys.modules)
    """
    assert _python(code).strip() == "False"


def test_a_record_of_a_model_that_is_missing_says_which_and_where_it_was_looked_for(
    record, other, tmp_path
):
    data = FrameCodec(device="cpu", model=other).encode(frame(), "latent")
    made = unpack(data).payload[:HASH_BYTES].hex()
    with pytest.raises(
        ModelError,
        match=rf"made with model {made}, which is not here; there is anchors \(.*Looked in .*models",
    ) as error:
        CODEC.decode(data)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ModelError)


def test_records_of_every_model_at_hand_decode(record, other, tmp_path):
    """Beside the one that encodes: those that ship, and those in a folder."""
    maker = FrameCodec(device="cpu", model=other)
    data = maker.encode(frame(), "latent")
    expected = maker.decode(data)
    assert np.array_equal(maker.decode(record), CODEC.decode(record)), (
        "a shipped model is found by its hash"
    )
    beside = FrameCodec(device="cpu", models=[other.parent])
    assert beside.encode(frame()) == record and np.array_equal(beside.decode(data), expected)


def test_a_changed_card_leaves_records_readable(record, other, tmp_path):
    """The hash is over what decoding needs; the first release named a model by its whole file."""
    data = FrameCodec(device="cpu", model=other).encode(frame(), "latent")
    model = networks.load(other)
    model.encoder.last.bias.data += 1
    networks.save(model, tmp_path / "renamed.safetensors", {"about": "other words"})
    codec = FrameCodec(device="cpu", model=tmp_path / "renamed.safetensors")
    assert codec.encode(frame(), "latent") == data and codec.decode(data).shape == (120, 160, 3)
    old = hashlib.sha256(other.read_bytes()).digest()[:HASH_BYTES]
    first_release = pack(Record("latent", (160, 120), old + unpack(data).payload[HASH_BYTES:]))
    assert np.array_equal(
        FrameCodec(device="cpu", model=other).decode(first_release), codec.decode(data)
    )


def test_models_of_other_numbers_have_other_hashes(other):
    tensors = models.Models().load(other).prior.tensors()
    name = sorted(tensors)[0]
    changed = {**tensors, name: tensors[name].copy()}
    changed[name].flat[0] += 1
    assert models.decoding_hash(Prior.from_tensors(changed)) != models.decoding_hash(
        Prior.from_tensors(tensors)
    )


def test_models_that_are_not_there_or_make_no_records(record, tmp_path, other):
    (tmp_path / "text.safetensors").write_text("no model")
    damaged = bytearray(other.read_bytes())
    damaged[-5] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(damaged)
    networks.save(Anchors(), tmp_path / "new.safetensors", {})
    networks.save(
        networks.build({"architecture": "vector", "latent": 4}), tmp_path / "vector.safetensors", {}
    )
    for name, text in {
        "nobody": "there is no model 'nobody'; there is anchors",
        tmp_path / "none.safetensors": "no such model file",
        tmp_path / "text.safetensors": "cannot be read as a model",
        tmp_path / "damaged.safetensors": "is damaged",
        tmp_path / "new.safetensors": "makes no records",
        tmp_path / "vector.safetensors": "makes no records",
    }.items():
        codec = FrameCodec(device="cpu", model=name)
        with pytest.raises(ModelError, match=text) as error:
            codec.encode(frame(), "latent")
        assert "\n" not in str(error.value)


def test_no_models_folder_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "model_folders", lambda: [tmp_path / "models"])
    with pytest.raises(ModelError, match="there is no model 'anchors'; there is none installed"):
        FrameCodec(device="cpu").encode(frame(), "latent")


def test_bad_images_and_arguments_are_found_before_the_model_loads():
    codec = FrameCodec(device="cpu", model="no_such_model")
    with pytest.raises(ImageError):
        codec.encode(np.zeros((0, 5), np.uint8), "latent")
    for how in ({"quality": 101}, {"effort": "huge"}):
        with pytest.raises(GaussVaeError, match=str(*how)):
            codec.encode(frame(), "latent", **how)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_flipped_and_truncated_records_are_always_found(record, data):
    flipped = bytearray(record)
    for bit in data.draw(st.sets(st.integers(0, 8 * len(record) - 1), min_size=1, max_size=3)):
        flipped[bit // 8] ^= 1 << bit % 8
    for changed in (
        bytes(flipped),
        record[: data.draw(st.integers(0, len(record) - 1))],
        record + b"\0",
    ):
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
    size = tuple(
        data.draw(st.one_of(st.integers(1, 200), st.sampled_from([1, 65535]))) for _ in range(2)
    )
    begun = time.process_time()
    try:
        image = CODEC.decode(pack(Record("latent", size, bytes(payload))), (80, 60))
        assert image.shape[:2] == (60, 80) and image.dtype == np.uint8
    except (RecordError, ModelError) as error:
        assert str(error) and "\n" not in str(error)
    assert time.process_time() - begun < 30


def test_the_worst_payloads_stay_within_time(record):
    """Every kind of precision and the most anchors, with streams of all kinds, on small and large frames."""
    rng, name = np.random.default_rng(0), unpack(record).payload[:HASH_BYTES]
    begun = time.process_time()
    for k in range(10):
        head = bytes([(0, 64, 128, 200, 255)[k % 5]]) + ((0x0400, 0x8400, 0x0020)[k % 3]).to_bytes(
            2, "little"
        )
        body = (b"", bytes(4000), b"\xff" * 4000, rng.bytes(20000))[k % 4]
        size = ((640, 480), (65535, 65535), (1, 1), (65535, 1))[k % 4]
        try:
            CODEC.decode(pack(Record("latent", size, name + head + body)), (640, 480))
        except RecordError:
            pass
    assert time.process_time() - begun < 60


@pytest.mark.parametrize("count", [0, 31, 1025, 0x7FFF])
def test_impossible_numbers_of_splats(record, count):
    payload = unpack(record).payload
    damaged = payload[:4] + count.to_bytes(2, "little") + payload[HEADER:]
    with pytest.raises(RecordError, match=f"claims {count} splats"):
        CODEC.decode(pack(Record("latent", (160, 120), damaged)))


def test_from_several_threads_at_once_with_a_model_that_is_not_loaded_yet():
    codec, images = FrameCodec(device="cpu"), [frame(96, 72, seed) for seed in range(3)]
    expected = [encode(image) for image in images]
    pictures = [CODEC.decode(data) for data in expected]
    wrong = []

    def work(k):
        for _ in range(3):
            if codec.encode(images[k], "latent") != expected[k]:
                wrong.append(k)
            if not np.array_equal(codec.decode(expected[k]), pictures[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong and not any(thread.is_alive() for thread in threads)


def _python(code: str, *args: object) -> str:
    command = [sys.executable, "-c", code, *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
