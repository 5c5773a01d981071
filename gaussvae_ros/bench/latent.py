"""What the latent tier makes of few bytes and how fast, beside peers, the splats tier and a DCT."""

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bench.rows import median_ms, row
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.evaluation.metrics import psnr, ssim
from gaussvae_ros.evaluation.peers import CODECS, curve, dct_floor
from gaussvae_ros.evaluation.plots import NAMES
from gaussvae_ros.fit import fit

QUALITIES, DEFAULT = (25, 50, 75), 50
SIZES = {25: "about 256", 50: "at most 512", 75: "about 1024"}  # bytes
# Qualities at which records are about as small.
SPLATS = 8.0, 11.0, 14.0, 17.0, 20.0, 24.0, 28.0, 32.0, 36.0, 40.0
MEASURES = {"PSNR": (psnr, "dB"), "SSIM": (ssim, "")}


def run(frames: list[np.ndarray]) -> list[dict]:
    """Encode each frame in the latent tier at three qualities."""
    codec = FrameCodec()
    codec.decode(codec.encode(frames[0], "latent"))  # loads the model, compiles
    datas = {q: [codec.encode(f, "latent", q) for f in frames] for q in QUALITIES}
    # For each frame its pictures by quality, None where none fits.
    files = {name: [] for name in ("splats", *CODECS)}
    for k, frame in enumerate(tqdm(frames, desc="latent, beside its peers", delay=1, disable=None)):
        budgets = [len(datas[q][k]) for q in QUALITIES]
        files["splats"].append(_splats(codec, frame, budgets))
        for peer in CODECS:
            files[peer].append([found and found.image for found in curve(frame, peer, budgets)])
    floor = [dct_floor(frame) for frame in frames]
    rows = []
    for at, q in enumerate(QUALITIES):
        recalls = [codec.decode(data) for data in datas[q]]
        rows.append(row(f"latent, {q}: size", _mean(map(len, datas[q])), "bytes", SIZES[q]))
        for measure, (score, unit) in MEASURES.items():
            ours = [score(f, r) for f, r in zip(frames, recalls, strict=True)]
            for name, pictures in files.items():
                fit_in = [k for k, found in enumerate(pictures) if found[at] is not None]
                peer, count = NAMES.get(name, name), f"{len(fit_in)} of {len(frames)}"
                where = f"{peer} at equal bytes, the {count} frames that it can"
                value = _mean(ours[k] for k in fit_in)
                reference = _mean(score(frames[k], pictures[k][at]) for k in fit_in)
                target = "above the reference" if q == DEFAULT else None
                rows.append(
                    row(f"latent, {q}: {measure} beside {where}", value, unit, target, reference)
                )
        reference = _mean(psnr(f, image) for f, image in zip(frames, floor, strict=True))
        ours, target = (
            _mean(map(psnr, frames, recalls)),
            "reference and 3 more" if q == DEFAULT else None,
        )
        rows.append(
            row(f"latent, {q}: PSNR beside 512 DCT coefficients", ours, "dB", target, reference)
        )
    return rows + _times(codec, frames, datas)


def _splats(codec: FrameCodec, frame: np.ndarray, budgets: list[int]) -> list[np.ndarray | None]:
    """The splats tier's picture of a frame within each budget: its largest record that fits."""
    records = sorted((codec.encode(frame, "splats", q) for q in SPLATS), key=len)
    fitting = [[data for data in records if len(data) <= budget] for budget in budgets]
    return [codec.decode(some[-1]) if some else None for some in fitting]


def _times(
    codec: FrameCodec, frames: list[np.ndarray], datas: dict[int, list[bytes]]
) -> list[dict]:
    from gaussvae_ros.vae.latent import LatentCodec

    model, splats, rows = LatentCodec(), [fit(frame) for frame in frames], []
    for q in QUALITIES:
        model.encode_splats(splats[0], q)
        encode = median_ms(lambda f: codec.encode(f, "latent", q), frames)
        code = median_ms(lambda s: model.encode_splats(s, q), splats)
        decode = median_ms(codec.decode, datas[q] * 5)
        on = q == DEFAULT
        rows += [
            row(
                f"latent, {q}: frame to record", encode, "ms", "at most 60, aim 33" if on else None
            ),
            row(f"latent, {q}: 512 splats to record", code, "ms", "at most 10" if on else None),
            row(
                f"latent, {q}: record to the frame's size",
                decode,
                "ms",
                "at most 8" if on else None,
            ),
        ]
    return rows


def _mean(values) -> float | None:
    values = list(values)
    return round(float(np.mean(values)), 3) if values else None
