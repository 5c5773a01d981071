"""Frames beyond 2 megapixels in overlapping tiles: where those lie, their record, and a picture of
them with blended seams.

A tile is coded as a frame of its size is, so that bytes and detail grow with the picture, and any
part of it decodes without the rest. The payload of a record in tiles:

    bytes 0-2   the model's hash
    byte 3, 4   tiles across and down
    byte 5      how far, px, a tile reaches beyond its part of the frame, to each side
    n           lengths of the tiles, seven bits a byte, the lowest first
    n           the tiles, row by row: payloads of the tier "latent" without the hash

A part of the frame with another beside it has at least NARROWEST px there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gaussvae_ros import lengths
from gaussvae_ros.errors import RecordError
from gaussvae_ros.raster.view import MAX_PIXELS, checked_roi, checked_size, render
from gaussvae_ros.record import TILES, Record, pack
from gaussvae_ros.splats import Splats
from gaussvae_ros.vae.models import HASH_BYTES

LARGE = 1 << 21  # px, beyond which a frame is coded in tiles; Full HD is not
SIDE = 554  # px of a part, about: a part has as many as 640x480
OVERLAP = 32  # px
NARROWEST = 384  # px
MIXED = "record is damaged: its tiles differ in their channels"
HEADER = HASH_BYTES + 3  # bytes


@dataclass(frozen=True)
class Layout:
    """Tiles of a frame of `size` (w, h) px; tile i is in row i // across."""

    size: tuple[int, int]
    across: int
    down: int
    overlap: int  # px

    @classmethod
    def of(cls, size: tuple[int, int]) -> "Layout":
        """That which frames of a size are encoded in: one tile for those that are not large."""
        if size[0] * size[1] <= LARGE:
            return cls(size, 1, 1, 0)
        return cls(size, *(max(round(side / SIDE), 1) for side in size), OVERLAP)

    def __len__(self) -> int:
        return self.across * self.down

    @cached_property
    def columns(self) -> list[tuple[int, int]]:
        """Where each column of tiles begins and ends, px."""
        return _spans(self.size[0], self.across, self.overlap)

    @cached_property
    def rows(self) -> list[tuple[int, int]]:
        """Where each row of tiles begins and ends, px."""
        return _spans(self.size[1], self.down, self.overlap)

    def parts(self, image: np.ndarray) -> list[np.ndarray]:
        """The tiles of a frame, [h, w, 3] or [h, w] each."""
        return [
            np.ascontiguousarray(image[top:bottom, left:right])
            for top, bottom in self.rows
            for left, right in self.columns
        ]


@dataclass(frozen=True)
class Tiled:
    """A record in tiles, opened: payloads of the tier "latent" of frames of their size."""

    layout: Layout
    payloads: tuple[bytes, ...]

    def record(self, tile: int) -> Record:
        """A tile as a record by itself."""
        row, column = divmod(tile, self.layout.across)
        spans = self.layout.columns[column], self.layout.rows[row]
        size = tuple(end - begin for begin, end in spans)
        return Record("latent", size, self.payloads[tile])


def packed(size: tuple[int, int], payloads: Sequence[bytes]) -> bytes:
    """The record of a frame of `size` (w, h) px, given its tiles, or all of it."""
    if len(payloads) == 1:
        return pack(Record("latent", size, payloads[0]))
    layout, hash_ = Layout.of(size), payloads[0][:HASH_BYTES]
    head = hash_ + bytes([layout.across, layout.down, layout.overlap])
    tiles = [payload[HASH_BYTES:] for payload in payloads]
    return pack(Record(TILES, size, head + lengths.pack(map(len, tiles)) + b"".join(tiles)))


def opened(record: Record) -> Tiled:
    """A record in tiles. Raises RecordError: it is damaged."""
    data = record.payload
    if len(data) < HEADER:
        raise RecordError("record is damaged: its payload has no header")
    across, down, overlap = data[HASH_BYTES:HEADER]
    for side, count in zip(record.size, (across, down)):
        narrow = count > 1 and side // count < max(NARROWEST, 2 * overlap)
        if not count or narrow or record.size[0] * record.size[1] > MAX_PIXELS:
            raise RecordError(f"record is damaged: it claims {across}x{down} tiles")
    layout = Layout(record.size, across, down, overlap)
    ends = lengths.read(data, HEADER, len(data), len(layout))
    if ends is None:
        raise RecordError("record is damaged: its tiles do not fill it")
    hash_ = data[:HASH_BYTES]
    return Tiled(layout, tuple(hash_ + data[b:e] for b, e in zip(ends, ends[1:])))


def together(tiled: Tiled, splats: Callable[[int], Splats]) -> Splats:
    """The splats of all tiles, in px of the frame."""
    all_ = [_placed(tiled.layout, tile, splats(tile)) for tile in range(len(tiled.layout))]
    if len({one.channels for one in all_}) > 1:
        raise RecordError(MIXED)
    return replace(all_[0], params=np.concatenate([one.params for one in all_]))


def draw(
    layout: Layout,
    splats: Callable[[int], Splats],
    size: tuple[int, int] | None = None,  # (w, h) px
    roi: tuple[int, int, int, int] | None = None,  # (x, y, w, h) px
) -> np.ndarray:  # uint8 [h, w, 3] or [h, w]
    """A frame in tiles as a picture, or a part of it, as `raster.view.render` has it. `splats(i)`
    gives those of a tile that is seen."""
    roi = checked_roi(roi, layout.size)
    size = checked_size(roi[2:] if size is None else size)
    columns = _seen(layout.columns, layout.overlap, roi[0], roi[2], size[0])
    rows = _seen(layout.rows, layout.overlap, roi[1], roi[3], size[1])
    picture = channels = None
    for row, y, height, down in rows:
        strip = None
        for column, x, width, right in columns:
            tile = row * layout.across + column
            placed = _placed(layout, tile, splats(tile))
            if channels not in (None, placed.channels):
                raise RecordError(MIXED)
            channels = placed.channels
            part = render(placed, size, roi, (x, y, width, height))
            if strip is None:
                strip = np.empty((height, size[0], *part.shape[2:]), np.uint8)
            _lay(strip[:, x : x + width], part, right)
        if picture is None:
            picture = np.empty((size[1], *strip.shape[1:]), np.uint8)
        _lay(picture[y : y + height].swapaxes(0, 1), strip.swapaxes(0, 1), down)
    return picture


def _spans(side: int, count: int, overlap: int) -> list[tuple[int, int]]:
    borders = [side * k // count for k in range(count + 1)]
    pairs = zip(borders, borders[1:])
    return [(max(b - overlap, 0), min(e + overlap, side)) for b, e in pairs]


def _placed(layout: Layout, tile: int, splats: Splats) -> Splats:
    """A tile's splats in px of the frame."""
    row, column = divmod(tile, layout.across)
    params = splats.params.copy()
    params[:, :2] += layout.columns[column][0], layout.rows[row][0]
    return replace(splats, params=params, size=layout.size)


def _seen(
    spans: list[tuple[int, int]], overlap: int, start: int, extent: int, size: int
) -> list[tuple[int, int, int, np.ndarray]]:
    """The tiles along one axis that a part of the frame, `extent` px from `start` on, shows in
    `size` px: each with the px that it takes, first and how many, and its weights there over those
    before it, [n] from 0 to 1."""
    scale, found = size / extent, []
    centres = start + (np.arange(size) + 0.5) / scale  # px of the frame
    for k, (begin, end) in enumerate(spans):
        first = int(np.searchsorted(centres, begin)) if k else 0
        last = int(np.searchsorted(centres, end)) if k + 1 < len(spans) else size
        if first >= last:
            continue
        weight = np.ones(last - first, np.float32)
        if found:  # another one lies under it
            into = np.clip((centres[first:last] - begin) / max(2 * overlap, 1e-9), 0, 1)
            weight[:] = into * into * (3 - 2 * into)  # no bend where it begins or ends
        found.append((k, first, last - first, weight))
    return found


def _lay(under: np.ndarray, part: np.ndarray, weight: np.ndarray) -> None:
    """Lay a part over a picture of its size, both [h, w, ...], with weights along w that rise."""
    full = int(np.searchsorted(weight, 1))
    under[:, full:] = part[:, full:]
    if full:
        below = under[:, :full].astype(np.float32)
        share = weight[:full].reshape(-1, *[1] * (part.ndim - 2))
        under[:, :full] = np.rint(below + share * (part[:, :full] - below))
