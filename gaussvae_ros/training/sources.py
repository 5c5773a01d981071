"""Training pictures as image files, from folders, files, videos, bags and the simulated drive."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from gaussvae_ros.bags import IMAGE_TYPES, Bag, is_bag
from gaussvae_ros.errors import DataError
from gaussvae_ros.evaluation.images import SUFFIXES
from gaussvae_ros.files import write_file, write_image
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, RATE, SIZE, photograph, where

INTERVAL = 0.5  # s between two frames kept of a stream: nearer ones show nearly the same
SIM_WORLDS, SIM_SECONDS = range(1001, 1007), 60.0  # not world 0, which the demo drives through
SIM_LICENCE = "rendered by gaussvae_ros (Apache-2.0)"
NOT_STATED = "not stated"

# Read at its first video: no lines of its own on broken files.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True)
class Source:
    """One source of pictures as the user named it."""

    given: str  # a path, or the word "sim"
    kind: str  # "folder", "image", "video", "bag" or "sim", or of what somebody else unpacks
    licence: str  # what a file beside it says
    # Of what somebody else unpacks: writes one frame in N, or about two a second (None), as image
    # files below a folder, and returns (what, why) of those that do not decode.
    unpack: Callable[[Path, int | None], list[tuple[str, str]]] | None = None


def find_source(given: str | Path) -> Source:
    """What a path is, by its name and content; the word "sim" is the simulated drive.

    Raises:
        DataError: no such file or folder.
    """
    if str(given) == "sim":
        return Source("sim", "sim", SIM_LICENCE)
    path = Path(given)
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    if path.is_dir():
        marked = (path / "metadata.yaml").exists()
        kind = "bag" if marked or (is_bag(path) and not _pictures(path)) else "folder"
    else:
        kind = "bag" if is_bag(path) else "image" if path.suffix.lower() in SUFFIXES else "video"
    return Source(str(given), kind, licence_note(path))


def picture_files(
    source: Source, cache: Path, every: int | None
) -> tuple[list[Path], list[tuple[str, str]]]:
    """The pictures of a source as image files, by time or name; streams are unpacked below `cache`.

    Of a video, a bag or the drive, every `every`-th frame counts, or about two a second (None).

    Returns:
        The files, and (name, reason) of the frames of a bag that do not decode.

    Raises:
        DataError: a folder without images, a video that cannot be read, a stream without frames.
        BagError: a bag that cannot be read.
        OSError: `cache` cannot be written.
    """
    path = Path(source.given)
    if source.unpack:
        folder = cache / hashlib.blake2b(repr((source.given, every)).encode()).hexdigest()[:16]
        found = source.unpack(folder, every)
        return sorted(folder.rglob("*.png")), found
    if source.kind == "image":
        return [path], []
    if source.kind == "folder":
        files = _pictures(path)
        if not files:
            raise DataError(
                f"no images in {path} or below (of a stream, name the video or bag itself)"
            )
        return files, []
    folder = cache / _name(source, every)
    if not folder.exists():
        _unpack(source, folder, every)
    problems = folder / "problems.json"
    return sorted(folder.glob("*.png")), [tuple(p) for p in json.loads(problems.read_text())]


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def licence_note(path: Path) -> str:
    """What the first licence or manifest file in a folder, or beside a path, says in one line.

    That is the line "Licence: ..." in the section under the heading with the path's name,
    or anywhere; else the file's first line. A level higher still, only a section about
    the path's folder counts.
    """
    path = path.absolute()
    places = [(path, path.name)] * path.is_dir() + [
        (path.parent, path.name),
        (path.parent.parent, path.parent.name),
    ]
    for folder, name in places:
        for file in sorted(folder.iterdir()):
            if re.match(
                r"(licen[cs]e|copying|manifest)(\.(md|txt|rst))?$", file.name, re.IGNORECASE
            ):
                text = file.read_text(errors="replace")
                own = re.search(
                    rf"^#+ *{re.escape(name)}\b.*?(?=^#|\Z)", text, re.MULTILINE | re.DOTALL
                )
                if not own and folder == path.parent.parent:
                    continue
                stated = re.search(r"licen[cs]e *: *(.+)", own[0] if own else text, re.IGNORECASE)
                first = next((line for line in text.splitlines() if line.strip()), NOT_STATED)
                return f"{file.name}: {(stated[1] if stated else first).strip()}"
    return NOT_STATED


def _name(source: Source, every: int | None) -> str:
    """A folder's name for the frames of a stream as it is now."""
    path = Path(source.given)
    state = (
        ""
        if source.kind == "sim"
        else (str(path.absolute()), path.stat().st_mtime_ns, path.stat().st_size)
    )
    return hashlib.blake2b(repr((source.kind, every, state)).encode(), digest_size=8).hexdigest()


def _unpack(source: Source, folder: Path, every: int | None) -> None:
    """Write the frames of a stream as PNG files into `folder`, which appears when it is whole."""
    draft, problems, count = folder.with_name(f".{folder.name}.{os.getpid()}"), [], 0
    draft.mkdir(parents=True)
    try:
        frames = {"video": _video, "bag": _bag, "sim": _sim}[source.kind](source.given, every)
        for name, frame in tqdm(frames, unit="frame", desc=Path(source.given).name, disable=None):
            if isinstance(frame, str):
                problems.append((f"{source.given}: {name}", frame))
            else:
                write_image(draft / f"{count:06d}.png", frame)
                count += 1
        if not count:
            raise DataError(f"no pictures in {source.given}")
        write_file(draft / "problems.json", json.dumps(problems).encode())
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _video(path: str, every: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """(frame number, uint8 [H, W, 3]) of a video."""
    video = cv2.VideoCapture(path)
    try:
        if not video.isOpened():
            raise DataError(
                f"cannot read {path}: not an image, a bag or a video that OpenCV knows, or damaged"
            )
        rate = video.get(cv2.CAP_PROP_FPS)
        step = every or max(1, round((rate if 0 < rate < 1000 else 30) * INTERVAL))
        number = 0
        while video.grab():
            if number % step == 0:
                done, frame = video.retrieve()
                if done:
                    yield str(number), np.ascontiguousarray(frame[..., ::-1])
            number += 1
    finally:
        video.release()


def _bag(path: str, every: int | None) -> Iterator[tuple[str, np.ndarray | str]]:
    """(topic and stamp, uint8 [H, W, 3] or [H, W], or the fault) of all images but depth.

    At the end, what else of the bag was damaged or left out.
    """
    with Bag(path) as bag:
        for topic in bag.topics(IMAGE_TYPES):
            if re.search("depth|disparity", topic):
                continue
            kept_ns = None
            for number, image in enumerate(bag.images(topic)):
                # Stamps may jump back.
                due = kept_ns is None or abs(image.stamp_ns - kept_ns) >= INTERVAL * 1e9
                if number % every == 0 if every else due:
                    kept_ns = image.stamp_ns
                    yield (
                        f"{topic} at {image.stamp_ns} ns",
                        image.problem if image.pixels is None else image.pixels,
                    )
        yield from (("as it lies there", problem) for problem in bag.problems)


def _sim(_: str, every: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """(building and frame number, uint8 [480, 640, 3]) of drives through simulated buildings."""
    step = every or round(RATE * INTERVAL)
    times = np.arange(0, int(SIM_SECONDS * RATE)) / RATE
    poses = where(times, SIM_SECONDS)
    turning = np.gradient(np.unwrap(poses[:, 2]), times)  # rad/s
    for seed in SIM_WORLDS:
        world, sensor = build(seed), Sensor(SIZE, FOCAL, seed)
        for number in range(0, len(times), step):
            yield f"{seed}/{number}", photograph(world, sensor, *poses[number], turning[number])
