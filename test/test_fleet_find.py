"""Found in the catalogue is what the memories themselves answer."""

import numpy as np
import pytest
from fleets import START, drive, look
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli.bank_list import nearest as nearest_of
from gaussvae_ros.errors import GaussVaeError

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
pytest.importorskip("psycopg")

from gaussvae_ros.fleet import finding  # noqa: E402
from gaussvae_ros.fleet.archive import Archive  # noqa: E402
from gaussvae_ros.fleet.catalogue import Catalogue, make  # noqa: E402
from gaussvae_ros.fleet.push import push  # noqa: E402

SECOND = 10**9


@pytest.fixture(scope="module")
def fleet(postgres, tmp_path_factory):
    """The memories of two robots, by name, and their catalogue."""
    folder, database = tmp_path_factory.mktemp("fleet"), postgres("finding")
    archive = Archive(folder / "archive")
    make(database, readers=["ina"])
    banks = {}
    for robot, seed in (("r1", 0), ("r2", 1)):
        path = drive(folder / f"{robot}.db", 60, seed)
        with MemoryBank(path) as bank:
            bank.set_label(8, "Dock Süd")
            bank.set_label(20 + seed, "dock")
        banks[robot] = MemoryBank(path, readonly=True)
        push(banks[robot], archive, robot)
    with Catalogue(database) as catalogue:
        for manifest in archive.manifests():
            catalogue.follow(archive, manifest)
        yield catalogue, banks
    for bank in banks.values():
        bank.close()


def stamps(draw):
    return START + draw(st.integers(-5, 65)) * 10 * SECOND


@st.composite
def asked(draw):
    """Conditions as `MemoryBank.find` takes them."""
    conditions = {}
    if draw(st.booleans()):
        conditions["after"] = stamps(draw)
    if draw(st.booleans()):
        conditions["before"] = stamps(draw)
    if draw(st.booleans()):
        conditions["near"] = draw(st.floats(-2, 20)), draw(st.floats(-1, 2)), 0.1
        conditions["radius"] = draw(st.sampled_from([0.0, 0.5, 3.0, 9.0, 1e8]))
        if draw(st.booleans()):
            conditions["reference"] = draw(st.sampled_from(["map", "odom"]))
        if draw(st.booleans()):
            conditions["yaw"] = draw(st.floats(-4, 4))
            conditions["yaw_tolerance"] = draw(st.floats(0, 4))
    if draw(st.booleans()):
        conditions["camera"] = draw(st.sampled_from(["front", "rear", "top"]))
    if draw(st.integers(0, 3)) == 3:
        conditions["label"] = draw(st.sampled_from(["dock", "Dock Süd", "x"]))
    if draw(st.integers(0, 3)) == 3:
        conditions["map_id"] = draw(st.sampled_from(["hall", ""]))
    if draw(st.integers(0, 2)) == 2:
        texts = ["dock", "DOCK sud", "fir*", "exit fire", "tour", "tour 1", "tour dock", "0*", "x"]
        conditions["text"] = draw(st.sampled_from(texts))
    return conditions


@given(conditions=asked(), robot=st.sampled_from(["r1", "r2"]), limit=st.integers(1, 99))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_conditions_mean_what_they_mean_to_a_memory(fleet, conditions, robot, limit):
    catalogue, banks = fleet
    where = finding.conditions(robots=[robot], **conditions)
    found = finding.find(catalogue, where, limit)
    assert [frame["id"] for frame in found] == [
        frame.id for frame in banks[robot].find(limit=limit, **conditions)
    ]


def test_all_of_a_frame_is_told(fleet):
    catalogue, banks = fleet
    found = finding.find(catalogue, finding.conditions(robots=["r1"]), 100)
    for facts, frame in zip(found, banks["r1"], strict=True):
        assert facts["stamp_ns"] == frame.stamp_ns and facts["camera"] == frame.camera
        assert facts["size"] == list(frame.size) and facts["bytes"] == len(frame.data)
        pose = frame.pose and [*frame.pose.position, *frame.pose.orientation]
        assert (facts["pose"], facts["label"]) == (pose, frame.label)
        assert (facts["frame_id"] or "", facts["map_id"]) == (frame.frame_id, frame.map_id)
        assert facts["needs"] == frame.reference
        assert facts["texts"] == [text.text for text in banks["r1"].texts(frame.id)]


def test_several_robots_answer_together_by_stamp(fleet):
    catalogue, _ = fleet
    found = finding.find(catalogue, finding.conditions(), 1000)
    keys = [(frame["stamp_ns"], frame["robot"]) for frame in found]
    assert len(found) == 120 and keys == sorted(keys)
    assert finding.find(catalogue, finding.conditions(robots=["r3"]), 9) == []


@given(place=st.integers(0, 70), limit=st.integers(1, 20), conditions=asked())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_likeness_is_that_of_a_memory(fleet, place, limit, conditions):
    catalogue, banks = fleet
    query = look(place, 77)
    where = finding.conditions(robots=["r2"], **conditions)
    expected = banks["r2"].find_like(query, limit=limit, **conditions)
    for exact in (True, False):
        found = finding.find_like(catalogue, where, query, limit, exact)
        assert [(f["id"], f["likeness"]) for f in found] == [(f.id, s) for f, s in expected]


@given(at=st.integers(-9, 700), limit=st.integers(1, 9))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_frames_nearest_to_a_stamp(fleet, at, limit):
    catalogue, banks = fleet
    stamp = START + at * SECOND
    found = finding.nearest(catalogue, finding.conditions(robots=["r1"]), stamp, limit)
    expected = nearest_of(banks["r1"], stamp, limit, {})
    assert [f["id"] for f in found] == [frame.id for frame in expected]


def test_a_frame_of_another_robot_is_asked_for_by_its_name(fleet):
    catalogue, banks = fleet
    [bank] = {f["bank"] for f in finding.find(catalogue, finding.conditions(robots=["r1"]), 9)}
    found = finding.descriptor_of(catalogue, f"r1/{bank}/9")
    assert found == banks["r1"].descriptor(9)
    assert finding.descriptor_length(catalogue) == len(found) == 128
    with pytest.raises(GaussVaeError, match="no descriptor"):
        finding.descriptor_of(catalogue, f"r1/{bank}/11")
    with pytest.raises(GaussVaeError, match="no frame"):
        finding.descriptor_of(catalogue, "r9/x/11")


@pytest.mark.parametrize(
    "index, conditions",
    [
        ("frames_by_place", {"near": (1, 2, 0), "radius": 1.0}),
        ("frames_by_label", {"label": "dock"}),
        ("frames_by_stamp", {"after": START}),
        ("frames_by_robot", {"after": START, "robots": ["r1"]}),
        ("frames_by_words", {"text": "fire"}),
    ],
)
def test_a_reader_is_answered_along_an_index(fleet, index, conditions):
    """Conditions that are no leak-proof operators must not wait for row level security."""
    info = fleet[0].db.info
    name = f"dbname={info.dbname} host={info.host} user=ina"
    with Catalogue(name) as reader:
        reader.db.execute("SET enable_seqscan = off")
        where = finding.conditions(**conditions)
        sql = "EXPLAIN " + finding._first(where, f"f.stamp_ns, {finding._KEY}")
        plan = reader.db.execute(sql, (*where.values, 20)).fetchall()
    assert any(index in line for (line,) in plan), plan


@pytest.mark.parametrize(
    "wrong",
    [
        {"near": (0, 0, 0)},
        {"radius": 1.0},
        {"yaw": 1.0, "yaw_tolerance": 1.0},
        {"near": (0, 0, 0), "radius": 1.0, "yaw": 1.0},
        {"near": (0, float("nan"), 0), "radius": 1.0},
        {"text": "!!"},
        {"after": 1.5},
        {"camera": ""},
    ],
)
def test_conditions_that_mean_nothing_are_refused(wrong):
    with pytest.raises(GaussVaeError):
        finding.conditions(**wrong)


def test_descriptors_are_exact_in_16_bits():
    numbers = np.arange(-128, 128)
    assert (numbers.astype(np.float16).astype(int) == numbers).all()
