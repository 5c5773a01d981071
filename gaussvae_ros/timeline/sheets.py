"""Small pictures of frames, packed into sheets: WebP files of 64 pictures of one size."""

import io
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

ACROSS = 8  # pictures in a row of a sheet, and rows
CELLS = ACROSS * ACROSS
WIDTHS = (320, 240, 160, 128)  # px, of the longer side; the page takes the largest that fit
QUALITIES = (70, 50, 30, 12)  # of WebP; lower ones where a sheet takes more than its share
METHOD = 2  # of WebP's encoder: a higher one takes twice the time for 5 % fewer bytes


def picture_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """(w, h) px of the small picture of a frame of `size`, whose longer side is `width`."""
    scale = min(width / max(size), 1.0)
    return tuple(max(1, round(side * scale)) for side in size)


class Sheets:
    """Takes pictures one by one. Each size of picture has a sheet of its own at a time; full ones
    are written as files by another thread, and together they take at most `budget` bytes.
    """

    def __init__(self, pictures: int, budget: int) -> None:
        """`pictures` is how many will come, at most."""
        self._left, self._budget = pictures, budget
        self._open: dict[tuple[int, int], tuple[int, np.ndarray, list[int]]] = {}
        self._files: list[Future[bytes] | None] = []
        self._pool = ThreadPoolExecutor(1, "sheets")

    def add(self, picture: np.ndarray) -> int:
        """Put in a picture, uint8 [h, w, 3] RGB or [h, w]; returns its place: the number of its
        sheet times CELLS, plus that of its cell, row by row.
        """
        height, width = picture.shape[:2]
        if (width, height) not in self._open:
            sheet = np.zeros((height * ACROSS, width * ACROSS, 3), np.uint8)
            self._open[width, height] = len(self._files), sheet, []
            self._files.append(None)
        number, sheet, cells = self._open[width, height]
        row, column = divmod(len(cells), ACROSS)
        shown = picture if picture.ndim == 3 else picture[..., None]
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = shown
        cells.append(len(cells))
        if len(cells) == CELLS:
            self._close((width, height))
        return number * CELLS + len(cells) - 1

    def files(self) -> list[bytes]:
        """The sheets as WebP files; b"" for one for which there was no room."""
        for size in list(self._open):
            self._close(size)
        files = [file.result() for file in self._files]
        self._pool.shutdown()
        return files

    def _close(self, size: tuple[int, int]) -> None:
        number, sheet, cells = self._open.pop(size)
        rows = -(-len(cells) // ACROSS)
        columns = min(len(cells), ACROSS)
        used = sheet[: rows * size[1], : columns * size[0]]
        waiting = [file for file in self._files if file is not None and not file.done()]
        if len(waiting) > 2:  # memory stays small where encoding is slower than recalling
            waiting[0].result()
        self._files[number] = self._pool.submit(self._write, used, len(cells))

    def _write(self, sheet: np.ndarray, count: int) -> bytes:
        share = self._budget * count // max(self._left, count)
        self._left -= count
        for quality in QUALITIES:
            file = _as_webp(sheet, quality)
            if len(file) <= share:
                break
        if len(file) > self._budget:
            return b""
        self._budget -= len(file)
        return file


def _as_webp(picture: np.ndarray, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "webp", quality=quality, method=METHOD)
    return out.getvalue()
