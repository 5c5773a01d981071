"""Pictures to training samples: random crops, their fits, and shards of both on the disk.

What a sample is depends on the arguments and the pictures alone, never on the number of
processes or on interruptions.
"""

import hashlib
import io
import json
import math
import shutil
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import nullcontext
from importlib import metadata
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.errors import DataError, ImageError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.files import write_file
from gaussvae_ros.training.crops import (
    BLOCK,
    ENLARGED,
    PARTS,
    SPLATS,
    VALID,
    Crop,
    Picture,
    largest_box,
    make_sample,
    plan,
    split,
)
from gaussvae_ros.training.sources import Source, find_source, picture_files
from gaussvae_ros.training.workers import working

FORMAT = 1  # of shards and manifest
SHARD = 256  # samples in a shard, the last of a part excepted
LISTED = 100  # skipped files that the manifest names


def sample_type(size: tuple[int, int]) -> np.dtype:
    """A shard's element: the fit, as gaussvae_ros.splats, of a crop of `size` px, and the crop."""
    return np.dtype([("splats", "<f4", (SPLATS, 8)), ("picture", "u1", (size[1], size[0], 3))])


def shard_path(folder: Path, part: str, number: int) -> Path:
    """Where a shard lies, a .npy file of `sample_type`."""
    return folder / f"{part}-{number:05d}.npy"


def prepare(
    sources: Iterable[str | Path | Source],
    out: str | Path,
    crops: int = 8,
    every: int | None = None,
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    jobs: int | None = None,
    workers: Executor | None = None,
) -> dict:
    """Cut `crops` random crops from each picture, fit them, and write shards and manifest to `out`.

    After an interruption the same call goes on where it stopped. It starts processes afresh: a
    script calls it under `if __name__ == "__main__":`.

    Args:
        sources: paths of folders, images, videos and bags; the word "sim" is the simulated drive.
        every: take every so manieth frame of videos, bags and the drive; None: about two a second.
        size: (w, h) px of the crops, which have this shape in the picture too.
        jobs: processes; None: one for each core.
        workers: what does the work instead of such processes.

    Returns:
        The manifest.

    Raises:
        DataError: a source that is missing or empty, no usable picture, arguments out of range, or
            a folder that other arguments or pictures were prepared in.
        BagError: a bag that cannot be read.
        OSError: `out` cannot be written.
    """
    out, found = Path(out), [s if isinstance(s, Source) else find_source(s) for s in sources]
    asked = {
        "sources": [s.given for s in found],
        "crops": crops,
        "every": every,
        "size": list(size),
        "seed": seed,
    }
    _check(asked, jobs)
    before = _earlier(out, asked)
    if before and before["complete"]:
        return before
    out.mkdir(parents=True, exist_ok=True)
    lost = "a process was ended from outside, or memory is short: the same command goes on"
    with nullcontext(workers) if workers else working(jobs, DataError(lost)) as workers:
        pictures, manifest = _survey(workers, found, out, asked)
        if before and before["pictures"] != manifest["pictures"]:
            raise DataError(
                f"{out} was begun with other pictures than there are now: choose another folder"
            )
        _put(out, manifest)
        parts = split(len(pictures), seed)
        for part in PARTS:
            chosen = parts == PARTS.index(part)
            _write_shards(workers, out, part, plan(pictures, chosen, crops, size, seed))
    _put(out, manifest | {"complete": True})
    shutil.rmtree(out / "frames", ignore_errors=True)
    for draft in out.glob(".*-?????.npy.*"):  # of shards that a killed run was writing
        draft.unlink(missing_ok=True)
    return manifest | {"complete": True}


def _check(asked: dict, jobs: int | None) -> None:
    for name, value, least in (
        ("crops", asked["crops"], 1),
        ("every", asked["every"], 1),
        ("seed", asked["seed"], 0),
        ("jobs", jobs, 1),
    ):
        if value is not None and value < least:
            raise DataError(f"{name} must be at least {least}, not {value}")
    if not asked["sources"]:
        raise DataError("no sources of pictures given")
    if not all(32 <= side <= 4096 for side in asked["size"]):
        raise DataError(
            f"size must be 32 to 4096 px a side, not {'x'.join(map(str, asked['size']))}"
        )


def _earlier(out: Path, asked: dict) -> dict | None:
    """The manifest of an earlier call in the same folder, if there is one and it asked the same."""
    try:
        before = json.loads((out / "manifest.json").read_text())
        differing = [key for key in asked if before["asked"][key] != asked[key]]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{out / 'manifest.json'} is not a manifest of training data: choose another folder"
        ) from None
    if differing:
        was, now = before["asked"][differing[0]], asked[differing[0]]
        raise DataError(
            f"{out} holds data prepared with {differing[0]} {was}, not {now}: choose another folder"
        )
    return before


def _survey(
    workers: Executor, found: list[Source], out: Path, asked: dict
) -> tuple[list[Picture], dict]:
    """Look at every picture once: those that can be used, and the manifest."""
    files, skipped = [], []  # (source, path) and (source, file, why)
    for number, source in enumerate(found):
        paths, problems = picture_files(source, out / "frames", asked["every"])
        files += [(number, path) for path in paths]
        skipped += [(number, *problem) for problem in problems]
    looks = workers.map(look, [path for _, path in files], chunksize=16)
    looks = tqdm(looks, total=len(files), unit="picture", desc="look", disable=None)
    pictures, seen, digest = [], {}, hashlib.sha256()
    for (number, path), (picture_hash, size, problem) in zip(files, looks):
        if not problem and largest_box(size, asked["size"])[0] * ENLARGED < asked["size"][0]:
            problem = f"too small: {size[0]}x{size[1]} px"
        if not problem and picture_hash in seen:
            problem = f"the same as {seen[picture_hash]}"
        if problem:
            skipped.append((number, str(path), problem))
            continue
        seen[picture_hash] = path
        pictures.append(Picture(path, size, number))
        digest.update(picture_hash)
    if not pictures:
        raise DataError(
            f"no usable picture in {', '.join(asked['sources'])}: {skipped[0][1]}: {skipped[0][2]}"
        )
    parts, origin = split(len(pictures), asked["seed"]), np.array([p.source for p in pictures])
    counts = {part: int((parts == i).sum()) for i, part in enumerate(PARTS)}
    manifest = {
        "format": FORMAT,
        "gaussvae": _version(),
        "complete": False,
        "asked": asked,
        "splats": SPLATS,
        "effort": "fast",
        "shard": SHARD,
        "parts": {
            part: {"pictures": n, "samples": n * asked["crops"]} for part, n in counts.items()
        },
        "validation": {"share": VALID, "block": BLOCK, "pictures_left_out": int((parts < 0).sum())},
        "sources": [
            {
                "given": source.given,
                "kind": source.kind,
                "licence": source.licence,
                "pictures": int((origin == i).sum()),
                "crops": int(((origin == i) & (parts >= 0)).sum()) * asked["crops"],
                "skipped": sum(number == i for number, _, _ in skipped),
            }
            for i, source in enumerate(found)
        ],
        "skipped": [{"file": file, "why": why} for _, file, why in skipped[:LISTED]],
        "pictures": digest.hexdigest(),
    }
    return pictures, manifest


def look(path: Path) -> tuple[bytes, tuple[int, int], str]:
    """Hash of a picture's pixels, its size (w, h) px, and what is wrong with it."""
    try:
        image = read_image(path)
    except ImageError as error:
        return b"", (0, 0), str(error)
    pixels = hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16)
    return pixels.digest(), (image.shape[1], image.shape[0]), ""


def _version() -> str:
    try:
        return metadata.version("gaussvae_ros")
    except metadata.PackageNotFoundError:
        return "not installed"


def _write_shards(workers: Executor, out: Path, part: str, crops: list[Crop]) -> None:
    """Make and write the shards of a part that are not there yet."""
    missing = [
        i for i in range(math.ceil(len(crops) / SHARD)) if not shard_path(out, part, i).exists()
    ]
    wanted = [crops[i * SHARD : (i + 1) * SHARD] for i in missing]
    todo = [crop for shard in wanted for crop in shard]
    bar = tqdm(
        total=len(crops),
        initial=len(crops) - len(todo),
        unit="crop",
        desc=f"fit {part}",
        disable=None,
    )
    with bar:
        samples = workers.map(make_sample, todo, chunksize=4)
        for number, shard in zip(missing, wanted):
            made = np.empty(len(shard), sample_type(shard[0].size))
            for i, sample in enumerate(islice(samples, len(shard))):
                made[i] = sample
                bar.update()
            file = io.BytesIO()
            np.save(file, made)
            write_file(shard_path(out, part, number), file.getvalue())


def _put(out: Path, manifest: dict) -> None:
    write_file(out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
