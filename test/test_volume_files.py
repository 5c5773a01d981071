"""Files of volumes, and the command that codes them."""

import json

import numpy as np
import pytest
from test_volume import smooth

from gaussvae_ros.cli import main
from gaussvae_ros.errors import VolumeError
from gaussvae_ros.volume.files import VolumeFile, read_volume, write_volume

PLACE = {"voxel_size": 0.05, "origin": (1.0, -2.0, 0.5)}


@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_volume_comes_back_with_its_place(tmp_path, ending, dtype):
    volume = smooth((5, 6, 7), dtype)
    write_volume(tmp_path / f"a{ending}", VolumeFile(volume, **PLACE))
    again = read_volume(tmp_path / f"a{ending}")
    assert np.array_equal(again.array, volume) and again.array.dtype == volume.dtype
    assert again.voxel_size == pytest.approx(0.05)
    assert again.origin == pytest.approx(PLACE["origin"])


def test_bare_numbers_need_a_shape(tmp_path):
    volume = smooth((5, 6, 7), np.uint16)
    write_volume(tmp_path / "a.raw", VolumeFile(volume))
    again = read_volume(tmp_path / "a.raw", (5, 6, 7), "uint16")
    assert np.array_equal(again.array, volume)
    for arguments in ((), ((5, 6, 8), "uint16"), ((5, 6, 7), "nonsense")):
        with pytest.raises(VolumeError):
            read_volume(tmp_path / "a.raw", *arguments)


def test_nrrd_of_others(tmp_path):
    head = (
        "NRRD0001\n# made elsewhere\ntype: unsigned short\ndimension: 3\nsizes: 3 2 1\n"
        "endian: big\nencoding: raw\nspacings: 0.5 0.5 0.5\n\n"
    )
    numbers = np.arange(6, dtype=">u2")
    (tmp_path / "a.nrrd").write_bytes(head.encode() + numbers.tobytes())
    found = read_volume(tmp_path / "a.nrrd")
    assert found.array.tolist() == [[[0, 1, 2], [3, 4, 5]]] and found.voxel_size == 0.5


@pytest.mark.parametrize("ending", [".npy", ".nrrd", ".nii", ".nii.gz"])
def test_broken_files_are_one_line(tmp_path, capsys, ending):
    write_volume(tmp_path / f"a{ending}", VolumeFile(smooth((9, 9, 9))))
    data = (tmp_path / f"a{ending}").read_bytes()
    for cut in (0, 3, 40, len(data) // 2, len(data) - 1):
        (tmp_path / f"b{ending}").write_bytes(data[:cut])
        out = tmp_path / "out"
        assert main(["volume", "encode", str(tmp_path / f"b{ending}"), "-o", str(out)]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not out.exists()


def test_the_command_encodes_and_decodes(tmp_path, capsys):
    volume, record = smooth((33, 20, 10)), str(tmp_path / "a.vol")
    write_volume(tmp_path / "a.nrrd", VolumeFile(volume, **PLACE))
    assert (
        main(["volume", "encode", str(tmp_path / "a.nrrd"), "-o", record, "--quality", "90"]) == 0
    )
    assert main(["volume", "info", record, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert facts["shape"] == [33, 20, 10] and facts["quality"] == 90
    assert facts["voxel_size"] == pytest.approx(0.05)
    part = str(tmp_path / "part.nrrd")
    assert main(["volume", "decode", record, "-o", part, "--roi", "30,2,3,3,4,5"]) == 0
    again = read_volume(part)
    assert np.abs(again.array.astype(int) - volume[30:33, 2:6, 3:8]).max() < 10
    assert again.origin == pytest.approx((1.15, -1.9, 2.0))
    assert main(["volume", "decode", record, "-o", part, "--roi", "30,2,3,4,4,5"]) == 2
    assert main(["volume", "info", str(tmp_path / "a.nrrd")]) == 2
