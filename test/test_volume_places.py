"""Files of volumes that other programs made: their numbers, where their voxels are, and what is
refused in one line."""

import gzip
import io
import struct

import numpy as np
import pytest

from gaussvae_ros.cli import main
from gaussvae_ros.errors import VolumeError
from gaussvae_ros.volume.files import read_volume

ARRAY = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(5, 6, 7)
RAW, BIG = ARRAY.tobytes(), ARRAY.astype(">i2").tobytes()


def nrrd(raw=RAW, end="\n", **fields):
    fields = {"type": "uchar", "dimension": 3, "sizes": "7 6 5", "encoding": "raw"} | fields
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in fields.items() if value]
    return end.join(["NRRD0004", *lines, "", ""]).encode() + raw


def nifti(
    raw=RAW, order="<", kind=2, dims=(3, 7, 6, 5, 1, 1, 1, 1), edges=(1, 1, 1, 1), start=352.0,
    scale=(1.0, 0.0), by=(1, 0), turn=(0, 0, 0), offset=(0, 0, 0), rows=(0,) * 12,
):  # fmt: skip
    head = bytearray(352)
    for at, form, values in (
        (0, "i", (348,)), (40, "8h", dims), (70, "h", (kind,)), (76, "4f", edges),
        (108, "3f", (start, *scale)), (252, "2h", by), (256, "6f", (*turn, *offset)),
        (280, "12f", rows),
    ):  # fmt: skip
        struct.pack_into(order + form, head, at, *values)
    head[123], head[344:347] = 1, b"n+1"
    return bytes(head) + raw


def numbers(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def read(folder, name, data, *arguments):
    (folder / name).write_bytes(data)
    return read_volume(folder / name, *arguments)


@pytest.mark.parametrize(
    ("data", "size", "origin", "flipped"),
    [
        (nrrd(), 1, (0, 0, 0), ()),
        (nrrd(spacings="2 2 2"), 2, (0, 0, 0), ()),
        (nrrd(spacings="nan nan nan"), 1, (0, 0, 0), ()),
        (nrrd(spacings="2 2 2", space_units='"mm" "mm" "mm"'), 0.002, (0, 0, 0), ()),
        (
            nrrd(space_directions="(-2,0,0) (0,-2,0) (0,0,2)", space_origin="(1,2,3)"),
            2, (-12, -9, 2), (1, 2),
        ),
        (nifti(by=(0, 0)), 1, (0, 0, 0), ()),
        (nifti(edges=(1, 2, 2, 2), offset=(1, 2, 3)), 2, (0, 1, 2), ()),
        # by half a turn about z, as from a scanner's axes to those of an atlas
        (nifti(edges=(1, 2, 2, 2), turn=(0, 0, 1), offset=(1, 2, 3)), 2, (-12, -9, 2), (1, 2)),
        (nifti(edges=(-1, 2, 2, 2), offset=(1, 2, 3)), 2, (0, 1, -6), (0,)),
        (
            nifti(edges=(1, 2, 2, 2), by=(0, 2), rows=(-2, 0, 0, 1, 0, 2, 0, 2, 0, 0, 2, 3)),
            2, (-12, 1, 2), (2,),
        ),
    ],
)  # fmt: skip
def test_voxels_are_where_the_file_has_them(tmp_path, data, size, origin, flipped):
    found = read(tmp_path, "a.nrrd" if data.startswith(b"NRRD") else "a.nii", data)
    assert np.array_equal(found.array, np.flip(ARRAY, flipped))
    assert found.array.flags.c_contiguous
    assert found.voxel_size == pytest.approx(size) and found.origin == pytest.approx(origin)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (nrrd(spacings="1 2 3"), "no cubes"),
        (nrrd(space_directions="(0,0,2) (0,2,0) (2,0,0)"), "axes of the volume are turned"),
        (nifti(turn=(0.5, 0.5, 0.5)), "axes of the volume are turned"),
    ],
)
def test_what_a_record_does_not_keep_of_a_place_is_said(tmp_path, caplog, data, said):
    found = read(tmp_path, "a.nrrd" if data.startswith(b"NRRD") else "a.nii", data)
    assert np.array_equal(found.array, ARRAY) and said in caplog.text


@pytest.mark.parametrize(
    ("name", "data", "arguments", "values"),
    [
        ("a.nrrd", nrrd(end="\r\n"), (), ARRAY),
        ("a.nrrd", nrrd(gzip.compress(RAW), encoding="GZIP"), (), ARRAY),
        ("a.nrrd", nrrd(BIG, type="signed short int", endian="Big"), (), ARRAY),
        ("a.nii", nifti(ARRAY.astype(">f8").tobytes(), ">", 64), (), ARRAY),
        ("a.nii", nifti(scale=(2.0, 1.0)), (), 2.0 * ARRAY + 1),
        ("a.nii", nifti(scale=(1.0, 3.0)), (), ARRAY + 3.0),
        ("a.nii", nifti(scale=(0.0, 5.0)), (), ARRAY),
        ("a.nii", nifti(scale=(float("nan"), float("nan"))), (), ARRAY),
        ("a.nii.gz", gzip.compress(nifti()[:300]) + gzip.compress(nifti()[300:]), (), ARRAY),
        ("a.npy", numbers(np.asfortranarray(ARRAY)), (), ARRAY),
        ("a.npy", numbers(ARRAY.astype(">f8")), (), ARRAY),
        ("a.raw", BIG, ((5, 6, 7), ">i2"), ARRAY),
        ("a.raw", RAW, ((5, 6, 7), "bool"), ARRAY != 0),
    ],
)  # fmt: skip
def test_numbers_are_what_the_file_says(tmp_path, name, data, arguments, values):
    found = read(tmp_path, name, data, *arguments).array
    assert np.array_equal(found, values) and found.dtype.isnative and found.itemsize <= 4


HUGE = numbers(ARRAY).replace(b"(5, 6, 7), }" + 14 * b" ", b"(50000, 60000, 70000), }  ")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.nrrd", nrrd(type="int")),
        ("a.nrrd", nrrd(type=None)),
        ("a.nrrd", nrrd(sizes="-7 6 5")),
        ("a.nrrd", nrrd(sizes="70000000 60000000 50000000")),
        ("a.nrrd", nrrd(b"skipped" + RAW, byte_skip=7)),
        ("a.nrrd", nrrd(b"", datafile="other.raw")),
        ("a.nrrd", nrrd(encoding="hex")),
        ("a.nii", nifti(kind=8)),
        ("a.nii", nifti(dims=(3, -1, 6, 5, 1, 1, 1, 1))),
        ("a.nii", nifti(dims=(7, *[32767] * 7))),
        ("a.nii", nifti(start=0.0)),
        ("a.nii", nifti(start=float("inf"))),
        ("a.nii", nifti(scale=(3e38, 0.0))),
        ("a.nii", nifti(edges=(1, float("nan"), 1, 1))),
        ("a.npy", HUGE),
        ("a.npy", b"PK\x03\x04 an archive"),
        ("a.npy", numbers(np.float64(ARRAY) * 1e300)),
        ("a.npy", numbers(ARRAY.astype(np.int32))),
        ("a.raw", RAW),
    ],
)
def test_what_is_not_read_is_one_line_that_names_the_file(tmp_path, capsys, name, data):
    (tmp_path / name).write_bytes(data)
    out = tmp_path / "out"
    with np.errstate(all="raise"):
        assert main(["volume", "encode", str(tmp_path / name), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and name in said and not out.exists()


def test_a_shape_that_the_numbers_do_not_fill_is_refused(tmp_path):
    for arguments in (((5, 6, 8),), ((5, 6, 7), "uint16"), ((5, 6, 7), "O"), ((0, 6, 7),)):
        with pytest.raises(VolumeError):
            read(tmp_path, "a.raw", RAW, *arguments)
    with pytest.raises(VolumeError, match="421 bytes"):
        read(tmp_path, "a.raw", ARRAY.astype("<u2").tobytes() + b"x", (5, 6, 7), "uint16")


def test_a_volume_that_does_not_fit_into_memory_is_one_line(tmp_path, capsys, monkeypatch):
    from gaussvae_ros.volume.codec import VolumeCodec

    def fail(*_):
        raise MemoryError

    (tmp_path / "a.npy").write_bytes(numbers(ARRAY))
    record = str(tmp_path / "record")
    assert main(["volume", "encode", str(tmp_path / "a.npy"), "-o", record]) == 0
    capsys.readouterr()
    monkeypatch.setattr(VolumeCodec, "decode", fail)
    assert main(["volume", "decode", record, "-o", str(tmp_path / "b.npy")]) == 2
    said = capsys.readouterr().err
    assert "does not fit into memory" in said and said.count("\n") == 1
