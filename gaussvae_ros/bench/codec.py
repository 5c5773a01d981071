"""What the codec makes of frames at several qualities and how fast, beside peers and a DCT."""

import time

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bench.rows import median_ms, row
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.evaluation.metrics import psnr, ssim
from gaussvae_ros.evaluation.peers import CODECS, curve, dct_floor
from gaussvae_ros.evaluation.plots import NAMES
from gaussvae_ros.fit import fit
from gaussvae_ros.raster.view import render

QUALITIES, DEFAULT = (25, 50, 75, 85), 50
SIZES = {25: "about 256", 50: "at most 512", 75: "about 1024"}  # bytes
WALL = {50: "at most 25", 75: "at most 50"}  # ms, frame to record
MEASURES = {"PSNR": (psnr, "dB"), "SSIM": (ssim, "")}
GIVEN = 512  # fitted splats that become a record


def run(frames: list[np.ndarray]) -> list[dict]:
    """Encode each frame at several qualities."""
    codec = FrameCodec()
    codec.decode(codec.encode(frames[0]))  # loads the model, compiles
    datas = {q: [codec.encode(f, q) for f in frames] for q in QUALITIES}
    # For each frame its pictures by quality, None where none fits.
    files: dict[str, list] = {name: [] for name in CODECS}
    for k, frame in enumerate(tqdm(frames, desc="codec, beside its peers", delay=1, disable=None)):
        budgets = [len(datas[q][k]) for q in QUALITIES]
        for peer in CODECS:
            files[peer].append([found and found.image for found in curve(frame, peer, budgets)])
    rows = []
    for at, q in enumerate(QUALITIES):
        recalls = [codec.decode(data) for data in datas[q]]
        rows.append(row(f"codec, {q}: size", _mean(map(len, datas[q])), "bytes", SIZES.get(q)))
        for measure, (score, unit) in MEASURES.items():
            ours = [score(f, r) for f, r in zip(frames, recalls, strict=True)]
            for name, pictures in files.items():
                fit_in = [k for k, found in enumerate(pictures) if found[at] is not None]
                where = f"{NAMES[name]} at equal bytes, the {len(fit_in)} of {len(frames)} frames"
                value = _mean(ours[k] for k in fit_in)
                reference = _mean(score(frames[k], pictures[k][at]) for k in fit_in)
                target = "above the reference" if q == DEFAULT else None
                named = f"codec, {q}: {measure} beside {where} that it can"
                rows.append(row(named, value, unit, target, reference))
        if q == DEFAULT:
            rows += _at_default(codec, frames, recalls)
        rows += _times(codec, frames, datas[q], q)
    return rows + _from_splats(codec, frames)


def _at_default(
    codec: FrameCodec, frames: list[np.ndarray], recalls: list[np.ndarray]
) -> list[dict]:
    ours = _mean(map(psnr, frames, recalls))
    best = [codec.encode(frame, DEFAULT, "best") for frame in frames]
    floor = _mean(psnr(frame, dct_floor(frame)) for frame in frames)
    value = _mean(psnr(frame, codec.decode(data)) for frame, data in zip(frames, best))
    name, size = f"codec, {DEFAULT}", _mean(map(len, best))
    return [
        row(f"{name}: PSNR beside 512 DCT coefficients", ours, "dB", "reference and 3 more", floor),
        row(f"{name}, best: size", size, "bytes"),
        row(f"{name}, best: PSNR beside fast", value, "dB", None, ours),
    ]


def _times(
    codec: FrameCodec, frames: list[np.ndarray], datas: list[bytes], quality: float
) -> list[dict]:
    begun = time.process_time()
    wall = median_ms(lambda frame: codec.encode(frame, quality), frames)
    cpu = round(1000 * (time.process_time() - begun) / len(frames), 3)
    decode = median_ms(codec.decode, datas * 5)
    on = quality == DEFAULT
    name = f"codec, {quality}"
    return [
        row(f"{name}: frame to record", wall, "ms", WALL.get(quality)),
        row(f"{name}: frame to record, time on the CPU", cpu, "ms", "at most 30" if on else None),
        row(f"{name}: record to the frame's size", decode, "ms", "at most 5" if on else None),
    ]


def _from_splats(codec: FrameCodec, frames: list[np.ndarray]) -> list[dict]:
    fits = [fit(frame, GIVEN) for frame in frames]
    datas = [codec.encode_splats(splats, DEFAULT) for splats in fits]
    ms = median_ms(lambda splats: codec.encode_splats(splats, DEFAULT), fits)
    given = _mean(psnr(frame, render(splats)) for frame, splats in zip(frames, fits))
    value = _mean(psnr(frame, codec.decode(data)) for frame, data in zip(frames, datas))
    name = f"codec, {DEFAULT}: {GIVEN} splats to record"
    return [
        row(name, ms, "ms", "at most 15"),
        row(f"{name}, PSNR beside that of the splats", value, "dB", None, given),
    ]


def _mean(values) -> float | None:
    values = list(values)
    return round(float(np.mean(values)), 3) if values else None
