"""Occupancy grids of map_server under the route: every kind of YAML and image that it reads."""

import base64
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timelines import Inside, make_bank, write

from gaussvae_ros.errors import ConfigError
from gaussvae_ros.timeline.floor_map import LARGEST, UNKNOWN, FloorMap, read_floor_map

GREYS = np.array([[0, 60, 128], [205, 254, 255]], np.uint8)
PLAIN = "image: map.pgm\nresolution: 0.05\norigin: [-1.5, 2.0, 0.3]\n"
NAV2 = PLAIN + "negate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n"


def made(folder: Path, text: str, image: Image.Image | None = None, name: str = "map.pgm") -> Path:
    (image or Image.fromarray(GREYS)).save(folder / name)
    (folder / "map.yaml").write_text(text)
    return folder / "map.yaml"


@pytest.mark.parametrize(
    "more, cells",
    [
        ("", [[100, 100, UNKNOWN], [UNKNOWN, 0, 0]]),  # 205 is what mappers write for unknown
        ("mode: trinary\n", [[100, 100, UNKNOWN], [UNKNOWN, 0, 0]]),
        ("negate: 1\n", [[0, UNKNOWN, UNKNOWN], [100, 100, 100]]),
        ("occupied_thresh: 0.9\n", [[100, UNKNOWN, UNKNOWN], [UNKNOWN, 0, 0]]),
        ("free_thresh: 0.2\n", [[100, 100, UNKNOWN], [0, 0, 0]]),
        # (1 - 128/255 - 0.196) / (0.65 - 0.196), and (1 - 205/255 - 0.196) / 0.454 is 0
        ("mode: scale\n", [[100, 100, 67], [0, 0, 0]]),
        ("mode: raw\n", [[0, 60, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN]]),
    ],
)
def test_cells_are_those_of_map_server(tmp_path, more, cells):
    found = read_floor_map(made(tmp_path, PLAIN + more))
    assert found.cells.tolist() == cells
    assert found.resolution == 0.05 and found.origin == (-1.5, 2.0, 0.3)


def test_images_of_other_kinds(tmp_path):
    yaml = NAV2.replace("map.pgm", "deeper/map.png")
    (tmp_path / "deeper").mkdir()
    wanted = read_floor_map(made(tmp_path, NAV2)).cells
    rgb = np.dstack([GREYS] * 3)
    for image in (
        Image.fromarray(GREYS),
        Image.fromarray(rgb),
        Image.fromarray(np.dstack([rgb, np.full_like(GREYS, 255)])),
        Image.fromarray(GREYS.astype(np.uint16) * 257),
    ):
        path = made(tmp_path, yaml, image, "deeper/map.png")
        assert np.array_equal(read_floor_map(path).cells, wanted), image.mode
    clear = np.dstack([rgb, np.full_like(GREYS, 255)])
    clear[0, 0, 3] = 0
    path = made(tmp_path, yaml + "mode: scale\n", Image.fromarray(clear), "deeper/map.png")
    assert read_floor_map(path).cells[0, 0] == UNKNOWN
    absolute = NAV2.replace("map.pgm", str(tmp_path / "map.pgm"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "map.yaml").write_text(absolute)
    assert np.array_equal(read_floor_map(tmp_path / "elsewhere" / "map.yaml").cells, wanted)


@pytest.mark.parametrize(
    "text, says",
    [
        ("a: [", "not YAML"),
        ("just words", "names no image"),
        ("resolution: 1\norigin: [0, 0, 0]\n", "names no image"),
        (PLAIN.replace("0.05", "0"), "resolution is above 0, not 0"),
        (PLAIN.replace("0.05", "fine"), "resolution is a number, not 'fine'"),
        (PLAIN.replace("[-1.5, 2.0, 0.3]", "[1, 2]"), "origin is 3 numbers, not [1, 2]"),
        (PLAIN.replace("0.3]", ".nan]"), "origin is 3 numbers"),
        (PLAIN + "mode: cubic\n", "mode is one of trinary, scale, raw, not 'cubic'"),
        (PLAIN + "occupied_thresh: [1]\nfree_thresh: x\n", "free_thresh is a number, not 'x'"),
        (PLAIN.replace("map.pgm", "gone.pgm"), "gone.pgm: No such file"),
        (PLAIN.replace("map.pgm", "map.yaml"), "map.yaml: not an image"),
        (PLAIN.replace("map.pgm", '"a\\0b"'), "embedded null"),
    ],
)
def test_what_is_no_map_is_said_in_one_line(tmp_path, text, says):
    with pytest.raises(ConfigError) as caught:
        read_floor_map(made(tmp_path, text))
    assert says in str(caught.value) and "map.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_map_or_an_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        read_floor_map(path)


def test_the_page_holds_the_cells(tmp_path):
    make_bank(tmp_path / "memory.db")
    floor_map = read_floor_map(made(tmp_path, NAV2))
    write(tmp_path / "memory.db", tmp_path / "page.html", floor_map=floor_map)
    ground = Inside(tmp_path / "page.html").figures["ground"]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(ground.pop("png")))))
    assert np.array_equal(picture, floor_map.cells)
    assert ground == {"width": 3, "height": 2, "resolution": 0.05, "origin": [-1.5, 2.0, 0.3]}


def test_a_large_map_keeps_its_walls_and_its_place():
    cells = np.full((30, 2 * LARGEST + 10), UNKNOWN, np.uint8)
    cells[-1, 0], cells[0, 4 * 300] = 100, 0
    shown = FloorMap(cells, 0.05, (1.0, 2.0, math.pi / 2)).figures()
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["png"]))))
    assert shown["resolution"] == pytest.approx(0.15) and shown["origin"][:2] == [1.0, 2.0]
    assert picture.shape == (10, -(-cells.shape[1] // 3)) and picture[-1, 0] == 100
    assert picture[0, 400] == 0 and (picture == UNKNOWN).sum() == picture.size - 2
