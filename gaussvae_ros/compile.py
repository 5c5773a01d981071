"""Kernels compiled, and the model loaded, before somebody waits for that or measures something."""

import numpy as np

from gaussvae_ros.record import Record, pack

SIZE = (160, 120)  # px
SPLATS = (b"\x80\x20\x00", b"\x80\x20\x80")  # payloads of tier "splats": 32 of them, RGB and mono


def warm_up(codec, effort: str = "fast") -> None:
    """Let a codec do once all that its first frames and recalls would do besides."""
    x, y = np.meshgrid(*map(np.arange, SIZE))
    # detail that splats miss, beside which the block below is no other scene
    detail = 30 * ((7 * x + 13 * y * y) % 11 < 5)
    colour = np.uint8(np.stack([x + y, x, 2 * y], axis=-1) // 2 + detail[..., None])
    for image in (colour, colour[..., 0]):
        data = codec.encode(image, quality=0, effort=effort)
        _recall(codec, data)
        later = image.copy()  # something new in it, whose changes and new splats are to be coded
        later[30:60, 40:70] = 255 - later[30:60, 40:70]
        if made := codec.predict(later, 0, data):
            _recall(codec, [data, made.data])


def warm_up_old(codec) -> None:
    """Let a codec do once what recalls of the first releases' tier "splats" would do besides."""
    for payload in SPLATS:
        _recall(codec, pack(Record("splats", SIZE, payload)))


def compile_kernels() -> None:
    """Compile all that codecs, recognition, likeness and simulation take; what was compiled before
    stays as it is.
    """
    from gaussvae_ros.bank.likeness import products
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.fit import EFFORTS
    from gaussvae_ros.recognition import convolution
    from gaussvae_ros.recognition.graph import graph
    from gaussvae_ros.sim import building, camera
    from gaussvae_ros.volume.codec import VolumeCodec

    codec = FrameCodec(device="cpu")
    for effort in EFFORTS:
        warm_up(codec, effort)
    warm_up_old(codec)
    seen = graph([codec.splats(pack(Record("splats", SIZE, SPLATS[0])))])
    for level in seen.levels:
        values = np.zeros((len(level.edges), 1), np.float32)
        convolution.gather(values, level.edges, level.neighbours)
    ramp = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    holed = np.where(ramp == 99, np.float32(np.nan), ramp)
    for volume, quality in ((ramp, 40), (holed, 95), (ramp > 100, 0)):  # of each kind
        VolumeCodec().decode(VolumeCodec().encode(volume, quality))
    blocks = np.ones((1, 2), np.int8), np.ones((1, 1), np.uint8)
    products.cosines(np.ones(2, np.float32), [(rows, np.ones(1, np.float32)) for rows in blocks])
    camera.render(building.build(0), 0.0, 0.0, 0.6, 0.0, SIZE, float(SIZE[0]))


def _recall(codec, data: bytes | list[bytes]) -> None:
    for size in (None, (SIZE[0] // 4, SIZE[1] // 4)):
        codec.decode(data, size=size)
