"""A report as one HTML file that needs nothing else: tables, figures, originals and recalls.

No script and no outside reference, so it opens from a disk, a mail or a CI artefact, and prints.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.files import write_file

JPEG_QUALITY = 92  # of the pictures: no difference to PNG can be seen, but in the size
WIDEST = 960  # px


@dataclass(frozen=True)
class Table:
    """Rows of figures under a caption. Say units in the column heads."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[
        Sequence[object]
    ]  # text as it is, int with thousands, float with two decimals, None as a dash


@dataclass(frozen=True)
class Figure:
    """A drawing, such as those of `gaussvae_ros.evaluation.plots`."""

    caption: str
    png: bytes


@dataclass(frozen=True)
class Views:
    """An original beside what became of it."""

    caption: str
    pictures: Mapping[
        str, np.ndarray
    ]  # by what to write below each: uint8 [H, W, 3] RGB or [H, W], of any sizes


@dataclass(frozen=True)
class Gallery:
    """Views in the order in which to show them, such as worst first."""

    title: str
    views: Sequence[Views]


def write_report(
    out_dir: str | Path,
    title: str,
    tables: Sequence[Table] = (),
    figures: Sequence[Figure] = (),
    galleries: Sequence[Gallery] = (),
) -> Path:
    """Write `out_dir`/report.html (the folder is made) and return its path.

    The first table is the headline: it comes before the figures, the others after them.
    A reader never sees half a file: it is written beside the old one and moved over it.

    Raises:
        OSError: the folder or file cannot be written.
    """
    headline, *details = [_table(t) for t in tables] or [""]
    parts = [headline, _figures(figures), *details, *map(_gallery, galleries)]
    page = _PAGE.format(title=html.escape(title), style=_STYLE, body="\n".join(parts))
    path = Path(out_dir) / "report.html"
    new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_file(path, page.encode())
    except OSError:
        if new:
            path.parent.rmdir()
        raise
    return path


def thumbnail(image: np.ndarray) -> np.ndarray:
    """The picture as a report shows it, at most WIDEST px a side: keep these, not originals."""
    scale = WIDEST / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in table.columns)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{_cell(c)}</td>" for c in row) + "</tr>" for row in table.rows
    )
    return (
        f'<section><h2>{html.escape(table.caption)}</h2><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div></section>"
    )


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, (float, np.floating)):
        return f"{value:.2f}" if np.isfinite(value) else "–"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return html.escape(str(value))


def _figures(figures: Sequence[Figure]) -> str:
    items = "\n".join(
        f'<figure class="drawing"><img src="{_data_uri("png", f.png)}" '
        f'alt="{html.escape(f.caption)}">'
        f"<figcaption>{html.escape(f.caption)}</figcaption></figure>"
        for f in figures
    )
    return f'<section class="drawings">{items}</section>' if items else ""


def _gallery(gallery: Gallery) -> str:
    items = "\n".join(
        f'<figure class="views"><div>{"".join(_picture(*p) for p in v.pictures.items())}</div>'
        f"<figcaption>{html.escape(v.caption)}</figcaption></figure>"
        for v in gallery.views
    )
    title = html.escape(gallery.title)
    return f'<section><h2>{title}</h2><div class="gallery">{items}</div></section>'


def _picture(name: str, image: np.ndarray) -> str:
    name, image = html.escape(name), thumbnail(image)
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, data = cv2.imencode(".jpg", bgr, options)
    height, width = image.shape[:2]
    source = _data_uri("jpeg", data.tobytes())
    picture = f'<img width="{width}" height="{height}" alt="{name}" src="{source}">'
    return f"<div>{picture}<small>{name}</small></div>"


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #e3e7ee;
        --paper: #f6f7f9; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2c3442; --paper: #11151c; --card: #1a202b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 82rem;
       background: var(--paper); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
             sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1.75rem; letter-spacing: -0.01em; }
h2 { font-size: 1.05rem; margin: 2.25rem 0 0.6rem; }
small, figcaption { color: var(--soft); font-weight: 400; font-size: 0.85rem; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
        border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0.45rem 0.9rem; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; font-size: 0.82rem; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
tbody tr { border-top: 1px solid var(--line); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
         overflow: hidden; }
figcaption { padding: 0.5rem 0.9rem 0.6rem; }
img { display: block; max-width: 100%; height: auto; }
.drawings { display: grid; gap: 1rem; margin-top: 2.25rem;
            grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); }
.drawing img { width: 100%; background: #fff; }
.gallery { display: grid; gap: 1rem;
           grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); }
.views > div { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; background: var(--line); }
.views > div > div { background: var(--card); padding-bottom: 0.2rem; }
.views small { padding: 0.1rem 0.9rem; }
.views img { width: 100%; }
@media print { body { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
