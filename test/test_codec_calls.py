"""FrameCodec as programs call it: wrong arguments, batches, threads, processes, remembering."""

import hashlib
import sys
import threading
import tracemalloc
import types

import numpy as np
import pytest
from camera import CODEC, frame, run_python

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.errors import GaussVaeError, ImageError, RecordError
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.fit import fit
from gaussvae_ros.record import unpack
from gaussvae_ros.remembered import OBJECTS


@pytest.fixture(scope="module")
def record():
    return CODEC.encode(frame())


# Wrong arguments


BAD_IMAGES = {
    "float": np.zeros((20, 20, 3)),
    "NaN": np.full((20, 20, 3), np.nan, np.float32),
    "int": np.zeros((20, 20), np.int64),
    "16 bits": np.zeros((20, 20), np.uint16),
    "bool": np.zeros((20, 20), bool),
    "objects": np.full((20, 20, 3), None),
    "four channels": np.zeros((20, 20, 4), np.uint8),
    "one channel": np.zeros((20, 20, 1), np.uint8),
    "a batch": np.zeros((2, 20, 20, 3), np.uint8),
    "a row": np.zeros(20, np.uint8),
    "no rows": np.zeros((0, 20, 3), np.uint8),
    "no columns": np.zeros((20, 0), np.uint8),
    "a scalar": np.uint8(3),
    "a list": [[0, 0], [0, 0]],
    "nothing": None,
    "bytes": b"abc",
    "too wide": np.zeros((1, 65536), np.uint8),
    "too many": np.broadcast_to(np.uint8(0), (9000, 9000)),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_what_is_not_an_image_gets_one_line(name):
    for call in (CODEC.encode, lambda image: CODEC.encode_many([frame(), image])):
        with pytest.raises(ImageError) as error:
            call(BAD_IMAGES[name])
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        *({"quality": q} for q in (-1, 101, float("nan"), float("inf"), "high", None, True, 1j)),
        {"quality": "latent"},  # which was the tier, once
        {"effort": "huge"},
        {"effort": None},
        {"tier": "pixels"},
        {"tier": 0},
    ],
)
def test_other_bad_arguments_get_one_line(options):
    with pytest.raises(GaussVaeError, match=str(*options)) as error:
        CODEC.encode(frame(), **options)
    assert "\n" not in str(error.value)


def test_bad_images_and_arguments_are_found_before_the_model_loads():
    codec = FrameCodec(device="cpu", model="no_such_model")
    with pytest.raises(ImageError):
        codec.encode(np.zeros((0, 5), np.uint8))
    for how in ({"quality": 101}, {"effort": "huge"}):
        with pytest.raises(GaussVaeError, match=str(*how)):
            codec.encode(frame(), **how)
        with pytest.raises(GaussVaeError, match=str(*how)):
            codec.encode_many([frame()], **how)


@pytest.mark.parametrize("size", [(0, 5), (1 << 20, 1 << 20), "wide", (5,), (2.5, 2)])
def test_sizes_that_cannot_be(record, size):
    with pytest.raises(GaussVaeError) as error:
        CODEC.decode(record, size=size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("roi", [(0, 0, 161, 120), (-1, 0, 5, 5), (0, 0, 0, 0), (5, 5), 3])
def test_parts_that_are_not_there(record, roi):
    with pytest.raises(GaussVaeError) as error:
        CODEC.decode(record, roi=roi)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "data", [b"", b"x", None, "text", 5, np.zeros(9, np.uint8), b"\xa5\x10" + bytes(20), []]
)
def test_what_is_not_a_record_gets_one_line(data):
    for read in (CODEC.decode, CODEC.splats):
        with pytest.raises(RecordError) as error:
            read(data)
        assert "\n" not in str(error.value) and "at most" not in str(error.value)


def test_devices():
    FrameCodec(device="cpu")
    with pytest.raises(GaussVaeError, match="device"):
        FrameCodec(device="tpu")
    with pytest.raises(GaussVaeError, match="model is the name"):
        FrameCodec(model=None)


def test_a_gpu_that_is_not_there():
    if why_no_gpu() is None:
        pytest.skip("there is one")
    with pytest.raises(GaussVaeError, match="device cuda cannot be used: .*; use device cpu"):
        FrameCodec(device="cuda")


# One and many


def test_only_pixels_count(record):
    """Not how they lie in memory."""
    image = frame()
    fixed = image.copy()
    fixed.flags.writeable = False
    wide = np.zeros((240, 160, 3), np.uint8)
    wide[::2] = image
    same = [
        np.asfortranarray(image),
        image[..., ::-1].copy()[..., ::-1],
        fixed,
        wide[::2],
        image[::-1].copy()[::-1],
    ]
    assert [CODEC.encode(i) for i in same] == [record] * len(same)
    np.testing.assert_array_equal(image, frame())  # and the frame is left alone


def test_any_bytes_like_object_is_a_record(record):
    for data in (bytearray(record), memoryview(record)):
        np.testing.assert_array_equal(CODEC.decode(data), CODEC.decode(record))


def test_many_are_as_one_by_one():
    images = [frame(), frame(96, 64, 1), frame(50, 70, 2)[..., 0]]
    datas = CODEC.encode_many(iter(images), quality=40)
    assert datas == [CODEC.encode(image, quality=40) for image in images]
    assert CODEC.encode_many([]) == []
    with pytest.raises(ImageError, match="not one alone"):
        CODEC.encode_many(frame())


def test_a_batch_on_a_gpu_keeps_order_sizes_and_quality(monkeypatch):
    """With the GPU's fit, or where there is none the CPU's: what is tested is the way around it."""
    codec = FrameCodec()
    if why_no_gpu():
        stand_in = types.ModuleType("gaussvae_ros.fit.cuda")
        stand_in.fit_many = lambda images, n, effort: [fit(image, n, effort) for image in images]
        monkeypatch.setitem(sys.modules, "gaussvae_ros.fit.cuda", stand_in)
        codec._gpu = True
    images = [frame(), frame(40, 30, 1), frame(160, 120, 2), frame(96, 64, 3)[..., 0], frame(3, 2)]
    for image, data in zip(images, codec.encode_many(images), strict=True):
        one_by_one = CODEC.encode(image)
        back = CODEC.decode(data)
        assert back.shape == image.shape
        assert psnr(image, back) > min(psnr(image, CODEC.decode(one_by_one)), 45) - 3
        assert abs(len(data) / len(one_by_one) - 1) < 0.25


def test_from_several_threads_at_once_with_a_model_that_is_not_loaded_yet():
    codec, images = FrameCodec(device="cpu"), [frame(96, 72, seed) for seed in range(4)]
    expected = [CODEC.encode(image) for image in images]
    pictures = [CODEC.decode(data) for data in expected]
    wrong = []

    def work(k):
        for _ in range(3):
            if codec.encode(images[k]) != expected[k]:
                wrong.append(k)
            if not np.array_equal(codec.decode(expected[k]), pictures[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not wrong and not any(thread.is_alive() for thread in threads)


PROCESS = """if True:
    import hashlib, sys
    from gaussvae_ros import kernels
    kernels.use_threads(int(sys.argv[1]))
    from camera import CODEC, frame
    print(CODEC.encode(frame()).hex())
    picture = CODEC.decode(bytes.fromhex(sys.argv[2]))
    print(hashlib.sha256(picture.tobytes()).hexdigest())
"""


def test_the_same_bytes_and_picture_in_other_processes_with_one_and_two_threads(record):
    picture = hashlib.sha256(CODEC.decode(record).tobytes()).hexdigest()
    for threads in (1, 2):
        assert run_python(PROCESS, threads, record.hex()).split() == [record.hex(), picture]
    assert CODEC.encode(frame()) == record


def test_it_starts_soon_and_without_torch():
    """Import in 3 s of CPU time, a first frame there and back in 2: this process has compiled."""
    code = """if True:
        import sys, time
        begun = time.process_time()
        from gaussvae_ros.codec import FrameCodec
        imported = time.process_time() - begun
        import numpy as np
        image = np.arange(640 * 480 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)
        begun = time.process_time()
        codec = FrameCodec()
        codec.decode(codec.encode(image))
        print(imported, time.process_time() - begun, "torch" in sys.modules)
    """
    runs = [run_python(code).split() for _ in range(2)]
    assert runs[0][2] == "False"
    assert min(float(r[0]) for r in runs) <= 3 and min(float(r[1]) for r in runs) <= 2, runs


# Remembering


def test_remembered_records_are_not_read_again(record, monkeypatch):
    other = CODEC.encode(frame(), quality=10)
    need = CODEC.splats(record).params.nbytes + len(record) + 2 * OBJECTS
    codec, read = FrameCodec("cpu", remember=need), []
    plain = FrameCodec._drawn
    monkeypatch.setattr(FrameCodec, "_drawn", lambda *a: read.append(1) or plain(*a))
    pictures = [codec.decode(record, size=(8, 8 + n)) for n in range(3)]
    codec.splats(record)
    assert len(read) == 1 and (pictures[2] == CODEC.decode(record, size=(8, 10))).all()
    codec.decode(other)
    codec.decode(record)
    assert len(read) == 4  # the other took its place; CODEC, which remembers none, read it once
    assert unpack(other).size == unpack(record).size


def test_what_is_remembered_takes_no_more_memory_than_was_said():
    """All that it holds, keys and Python's objects too, for small records and for large ones."""
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    images = [np.uint8((x * k + y * (7 - k)) % 256) for k in range(1, 7)]
    records = [CODEC.encode(image, quality=q) for image in images for q in (0, 5, 78, 84)]
    limit = 150_000
    codec = FrameCodec("cpu", remember=limit)
    codec.decode(records[0])
    tracemalloc.start()
    for record in records:
        codec.decode(record, size=(8, 8))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert limit / 2 < codec._remembered.bytes <= limit
    assert limit / 2 < held <= 1.05 * limit
