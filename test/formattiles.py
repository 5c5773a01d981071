"""The part of docs/format.md on records in tiles in plain Python: where they lie, their payloads as
records by themselves, and how their pictures are laid together."""

import zlib

import numpy as np


def tiles_of(record: bytes) -> tuple[tuple[int, int], int, list[list[tuple]], list[bytes]]:
    """The frame's (w, h), the overlap, [(begin, end) of columns, of rows], and the tiles as records
    that stand alone."""
    assert record[:2] == b"\xa5\x13"
    body, check = record[:-4], int.from_bytes(record[-4:], "little")
    assert zlib.crc32(body) == check
    w, h = (int.from_bytes(record[at : at + 2], "little") for at in (2, 4))
    name, (across, down, overlap), at = body[6:9], body[9:12], 12
    lengths = []
    for _ in range(across * down):
        length, digit = 0, 0
        while True:
            length += (body[at] & 127) * 128**digit
            at, digit = at + 1, digit + 1
            if body[at - 1] < 128:
                break
        lengths.append(length)
    spans = [
        [
            (max(side * i // n - overlap, 0), min(side * (i + 1) // n + overlap, side))
            for i in range(n)
        ]
        for side, n in ((w, across), (h, down))
    ]
    alone = []
    for i, length in enumerate(lengths):
        (left, right), (top, bottom) = spans[0][i % across], spans[1][i // across]
        head = b"\xa5\x11" + (right - left).to_bytes(2, "little")
        made = head + (bottom - top).to_bytes(2, "little") + name + body[at : at + length]
        alone.append(made + zlib.crc32(made).to_bytes(4, "little"))
        at += length
    assert at == len(body)
    return (w, h), overlap, spans, alone


def laid(pictures: list[np.ndarray], spans: list[list[tuple]], overlap: int) -> np.ndarray:
    """Pictures of tiles, uint8 [h, w, C], as one."""

    def over(below: np.ndarray | None, part: np.ndarray, begin: int, side: int) -> np.ndarray:
        """Lay a part, its second axis from `begin` on, over what is there."""
        out = np.zeros((len(part), side, part.shape[2])) if below is None else below.astype(float)
        for x in range(begin, begin + part.shape[1]):
            t = min((x + 0.5 - begin) / (2 * overlap), 1.0) if begin else 1.0
            weight = t * t * (3 - 2 * t)
            out[:, x] += weight * (part[:, x - begin] - out[:, x])
        return np.rint(out)

    columns, rows = spans
    width, height, whole = columns[-1][1], rows[-1][1], None
    for i, (top, _) in enumerate(rows):
        strip = None
        for j, (left, _) in enumerate(columns):
            strip = over(strip, pictures[i * len(columns) + j], left, width)
        turned = over(whole, strip.swapaxes(0, 1), top, height)
        whole = turned
    return whole.swapaxes(0, 1).astype(np.uint8)
