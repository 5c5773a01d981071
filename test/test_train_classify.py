"""`gaussvae train classify`: pictures, their variations, both networks, and what comes out."""

import json
import shutil
import signal

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import one_thread  # noqa: F401 (a fixture)
from test_cli import run

from gaussvae_ros.errors import DataError, ModelError, TrainingError
from gaussvae_ros.fit import fit
from gaussvae_ros.raster.view import render
from gaussvae_ros.recognition.graph import graph
from gaussvae_ros.recognition.network import Classifier
from gaussvae_ros.splats import Splats
from gaussvae_ros.training import learning
from gaussvae_ros.training.classify import Settings, train_classify
from gaussvae_ros.training.graph_network import GraphNetwork
from gaussvae_ros.training.labelled_pictures import read_labelled
from gaussvae_ros.training.resnet import ResNet8
from gaussvae_ros.training.scores import accuracy, auc
from gaussvae_ros.training.variations import Variation


def pictures(count: int, seed: int, colour: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Discs that are brighter or darker than what is around them."""
    rng = np.random.default_rng(seed)
    shape = (count, 16, 16, 3) if colour else (count, 16, 16)
    made, labels = rng.integers(100, 140, shape).astype(np.uint8), rng.integers(0, 2, count)
    for picture, label in zip(made, labels):
        centre = rng.integers(5, 11, 2).tolist()
        cv2.circle(picture, centre, 4, (220 if label else 30,) * 3, -1)
    return made, labels[:, None].astype(np.uint8)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "BATCH", 16)
    monkeypatch.setattr(learning, "WARMUP", 5)
    path, arrays = tmp_path / "discs.npz", {}
    for seed, (part, count) in enumerate((("train", 48), ("val", 16), ("test", 32))):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = pictures(count, seed)
    np.savez(path, **arrays)
    return path


# The whole


def test_both_networks_learn_and_the_graph_network_runs_without_torch(archive, tmp_path, capsys):
    out = tmp_path / "out"
    asked = ("train", "classify", archive, "--out", out, "--steps", 30, "--quality", 0)
    code, printed, err = run(capsys, *asked, "--jobs", 1, "--json")
    assert code == 0, err
    result = json.loads(printed)
    assert result["pictures"] == {"train": 48, "val": 16, "test": 32} and result["splats"] == 32
    graphs, pixels = result["networks"]
    assert graphs["network"] == "graph" and pixels["network"] == "resnet8"
    assert abs(graphs["parameters"] / pixels["parameters"] - 1) < 0.1
    assert graphs["auc"] > 0.9
    for name in ("graph", "resnet8"):
        assert (out / f"{name}.safetensors").exists()
        assert (out / name / "curve.csv").exists() and list((out / name).glob("events.*"))

    classifier = Classifier(out / "graph.safetensors")
    made = np.load(out / "splats-test-00000.npz")["splats"]
    scores = classifier.scores([Splats(params, (16, 16)) for params in made])
    with np.load(archive) as stored:
        shows = stored["test_labels"] == np.arange(2)
    assert auc(shows, scores) == pytest.approx(graphs["auc"], abs=1e-4)
    with pytest.raises(ModelError, match="no graph network"):
        Classifier(out / "resnet8.safetensors")
    code, _, err = run(capsys, *asked)
    assert code == 2 and "--resume" in err


def test_a_stopped_training_goes_on_to_the_same_weights(archive, tmp_path, monkeypatch):
    settings_ = Settings(steps=4, quality=0, mirror=True)
    whole = train_classify(archive, tmp_path / "whole", settings_, jobs=1)
    (tmp_path / "parts").mkdir()
    for file in (tmp_path / "whole").glob("splats-*"):  # the same fits
        shutil.copy(file, tmp_path / "parts")
    step = learning._step

    def interrupted(*args):
        if args[-1] == 2:
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    monkeypatch.setattr(learning, "_step", interrupted)
    stopped = train_classify(archive, tmp_path / "parts", settings_, jobs=1)
    assert stopped["stopped"] == "signal" and not stopped["networks"]
    monkeypatch.setattr(learning, "_step", step)
    with pytest.raises(TrainingError, match="other data or settings"):
        train_classify(archive, tmp_path / "parts", Settings(steps=7), jobs=1, resume=True)
    parts = train_classify(archive, tmp_path / "parts", settings_, jobs=1, resume=True)
    for one, other in zip(whole["networks"], parts["networks"]):
        assert one["auc"] == other["auc"]
    one, other = (Classifier(tmp_path / d / "graph.safetensors") for d in ("whole", "parts"))
    assert all(np.array_equal(one._tensors[name], other._tensors[name]) for name in one._tensors)


@pytest.mark.parametrize("several", [False, True])
def test_without_torch_the_scores_are_the_same(several, tmp_path):
    from gaussvae_ros.model_files import serialised

    torch.manual_seed(0)
    network = GraphNetwork(5)
    frames = [fit(picture, n) for picture, n in zip(pictures(3, 0, True)[0], (32, 64, 50))]
    network(graph(frames))  # which fills the running means
    network.eval()
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    about = {"architecture": "graph", "config": network.config}
    card = {"classes": list("abcde"), "several": several}
    (tmp_path / "m.safetensors").write_bytes(serialised({**about, "card": card}, state))
    with torch.no_grad():
        said = network(graph(frames))
    wanted = torch.sigmoid(said) if several else torch.softmax(said, 1)
    scores = Classifier(tmp_path / "m.safetensors").scores(frames)
    assert np.allclose(scores, wanted.numpy(), atol=1e-5)


def test_both_have_seventy_eight_thousand_parameters():
    sizes = [
        sum(p.numel() for p in network.parameters())
        for network in (GraphNetwork(2), ResNet8(channels=1, classes=2))
    ]
    assert all(74_000 < size < 82_000 for size in sizes)


# What they learn from


@pytest.mark.parametrize("seed", range(4))
def test_varied_splats_draw_the_varied_picture(seed):
    x, y = np.meshgrid(np.arange(48), np.arange(40))
    picture = np.uint8(128 + 60 * np.sin(x / 6) * np.cos(y / 9 + x / 20))
    splats = fit(picture, 64)
    drawn, way = render(splats, splats.size), Variation.draw(np.random.default_rng(seed), True)
    seen = render(Splats(way.splats(splats.params, splats.size), splats.size), splats.size)
    inner = slice(10, -10), slice(10, -10)  # what came in from beyond the edges is another thing
    assert np.abs(seen / 255.0 - way.picture(drawn))[inner].mean() < 0.02


def test_folders_and_archives_are_read_alike(tmp_path):
    images, labels = pictures(20, 0, colour=True)
    for i, (picture, label) in enumerate(zip(images, labels[:, 0])):
        folder = tmp_path / "folder" / ("test" if i < 8 else "train") / ("dark", "light")[label]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{i:02}.png"), picture[..., ::-1])
    read = read_labelled(tmp_path / "folder", 16, None, 0)
    assert read.classes == ("dark", "light") and not read.several
    part = read.parts["test"]
    order = np.argsort(labels[:8, 0], kind="stable")
    assert np.array_equal(part.pictures, images[:8][order])
    assert np.array_equal(part.shows[:, 1], labels[:8, 0][order] == 1)
    assert len(read_labelled(tmp_path / "folder", 12, 5, 0).parts["train"]) == 5


def test_several_labels_a_picture_and_larger_pictures(tmp_path):
    rng, arrays = np.random.default_rng(0), {}
    for part in ("train", "test"):
        arrays[f"{part}_images"] = rng.integers(0, 256, (10, 40, 80), np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 2, (10, 3), np.uint8)
    np.savez(tmp_path / "a.npz", **arrays)
    read = read_labelled(tmp_path, 20, None, 0)  # the folder with one archive in it
    assert read.several and read.parts["train"].pictures.shape == (10, 10, 20)
    assert np.array_equal(read.parts["test"].shows, arrays["test_labels"] == 1)


GOOD = {"images": np.zeros((4, 16, 16), np.uint8), "labels": np.array([[0], [1], [0], [1]])}


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"train_images": np.zeros((4, 16, 16, 16), np.uint8)}, "train_images are uint8"),
        ({"train_images": np.zeros((4, 16, 16))}, "train_images are uint8"),
        ({"test_images": np.zeros((4, 9, 9), np.uint8)}, "differ in the size"),
        ({"train_labels": np.zeros((3, 1), int)}, "train_labels are whole numbers"),
        ({"train_labels": np.array([["a"]] * 4, object)}, "not an archive"),
        ({"train_labels": np.full((4, 1), -1)}, "labels are classes from 0 on"),
        ({"train_labels": np.zeros((4, 1), int)}, "fewer than two classes"),
        ({"test_images": None}, "no pictures of a part test"),
        ({"test_labels": np.ones((4, 1), int)}, "the pictures of test show all the same"),
        ({"val_images": GOOD["images"], "val_labels": np.zeros((4, 1), int)}, "of val show all"),
    ],
)
def test_an_archive_that_is_none_is_one_line(tmp_path, capsys, change, problem):
    arrays = {f"{part}_{name}": a for part in ("train", "test") for name, a in GOOD.items()}
    arrays = {name: a for name, a in {**arrays, **change}.items() if a is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    code, out, err = run(capsys, "train", "classify", tmp_path / "a.npz", "--out", tmp_path / "out")
    assert code == 2 and problem in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_no_data_is_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    for path, problem in (
        (tmp_path / "nothing", "no such file"),
        (tmp_path / "text.npz", "not an archive"),
        (tmp_path, "not an archive"),
    ):
        with pytest.raises(DataError, match=problem):
            read_labelled(path, 64, None, 0)
    for wrong in ({"steps": 0}, {"side": 7}, {"limit": 0}, {"quality": 101}, {"seed": -1}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            train_classify(tmp_path, tmp_path / "out", Settings(**wrong))


# Scores


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=20))
def test_auc_is_the_share_of_pairs_in_order(pairs):
    shows, scores = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs], float)
    if shows.all() or not shows.any():
        with pytest.raises(DataError):
            auc(shows[:, None], scores[:, None])
        return
    yes, no = scores[shows][:, None], scores[~shows][None]
    wanted = np.mean((yes > no) + 0.5 * (yes == no))
    assert auc(shows[:, None], scores[:, None]) == pytest.approx(wanted)


def test_accuracy_is_of_one_class_or_of_every_answer():
    shows, scores = (
        np.array([[1, 0], [0, 1], [1, 0]], bool),
        np.array([[0.9, 0.6], [0.7, 0.2], [1, 0]]),
    )
    assert accuracy(shows, scores, several=False) == pytest.approx(2 / 3)
    assert accuracy(shows, scores, several=True) == pytest.approx(3 / 6)
