"""How fast a record of the splats tier becomes a picture, whole or in part, also by a GPU."""

import time

import cv2
import numpy as np

from gaussvae_ros.bench.rows import median_ms, row
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.entropy import stream
from gaussvae_ros.raster.view import render
from gaussvae_ros.record import unpack

SIZE, SMALL, PART = (640, 480), (160, 120), (64, 48)  # (w, h) px
ROUNDS = 10  # of all frames
BATCH = 64  # pictures that the GPU draws at once


def run(frames: list[np.ndarray]) -> list[dict]:
    """Decode the records of all frames, at the default quality, several times."""
    codec = FrameCodec()
    datas = codec.encode_many(
        [cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in frames], "splats"
    )
    splats = [stream.read(record.payload, record.size) for record in map(unpack, datas)]
    files = [
        cv2.imencode(".jpg", codec.decode(data), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        for data in datas
    ]
    middle = (SIZE[0] // 2, SIZE[1] // 2, *PART)
    for data in datas:
        codec.decode(data, SMALL)
    jpeg = median_ms(lambda f: cv2.imdecode(f, cv2.IMREAD_COLOR), files * ROUNDS)
    whole = median_ms(codec.decode, datas * ROUNDS)
    drawn = median_ms(render, splats * ROUNDS)
    small = median_ms(lambda d: codec.decode(d, SMALL), datas * ROUNDS)
    part = median_ms(lambda d: codec.decode(d, roi=middle), datas * ROUNDS)
    return [
        row("decode: record to 640x480, beside a JPEG", whole, "ms", "at most 5", jpeg),
        row("decode: of which drawing", drawn, "ms", "at most 2"),
        row("decode: record to 160x120, beside 640x480", small, "ms", None, whole),
        row("decode: record to a part of 64x48, beside 640x480", part, "ms", None, whole),
        _on_gpu(splats, 1000 / drawn),
    ]


def _on_gpu(splats: list, cpu: float) -> dict:
    name, target = "decode: drawn on a GPU, 640x480", "at least 1000"
    if problem := why_no_gpu():
        return row(f"{name} (skipped: {problem})", None, "1/s", target, round(cpu))
    import torch

    from gaussvae_ros.raster.cuda import rasterize

    params = torch.from_numpy(
        np.stack([splats[k % len(splats)].params for k in range(BATCH)])
    ).cuda()
    times = []
    for _ in range(12):
        torch.cuda.synchronize()
        started = time.perf_counter()
        rasterize(params, SIZE)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return row(
        f"{name}, beside the CPU",
        round(BATCH / float(np.median(times[2:]))),
        "1/s",
        target,
        round(cpu),
    )
