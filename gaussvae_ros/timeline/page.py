"""The page: one HTML file of its parts in the folder web/, which loads nothing and lets no other
script run.

Figures are JSON, columns and sheets base64, each in a script element of a type that no browser
runs. The sheets come last, so that the page is drawn while they are still read.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np

# One script, in this order.
SCRIPTS = (
    "data.js",
    "dates.js",
    "colours.js",
    "axis.js",
    "pictures.js",
    "likeness.js",
    "state.js",
    "map.js",
    "marks.js",
    "frames.js",
    "strip.js",
    "panel.js",
    "filters.js",
    "input.js",
    "main.js",
)
LATER = ("descriptor",)  # columns that no first view takes
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)


def assemble(figures: dict, columns: Mapping[str, np.ndarray], sheets: Sequence[bytes]) -> bytes:
    """The page as the bytes of a UTF-8 file.

    Args:
        figures: what goes as JSON; the page's title is its `title`.
        columns: by name, of uint32, int64, float32, float64 or int8.
        sheets: WebP files; an empty one is left out.
    """
    style = _part("page.css")
    script = "\n".join(['"use strict";(() => {', *map(_part, SCRIPTS), "})();"])
    policy = POLICY.format(script=_hash(script), style=_hash(style))
    kinds = {name: column.dtype.name for name, column in columns.items()}
    shown = {**figures, "columns": kinds}
    first = [_block(f"column-{name}", columns[name]) for name in kinds if name not in LATER]
    later = [_block(f"column-{name}", columns[name]) for name in LATER]
    pictures = [_block(f"sheet-{k}", file) for k, file in enumerate(sheets) if file]
    parts = {
        "policy": policy,
        "title": html.escape(figures["title"]),
        "style": style,
        "figures": _as_json(shown),
        "columns": "\n".join(first),
        "script": script,
        "later": "\n".join([*later, *pictures]),
    }
    whole = _part("page.html")
    for name, text in parts.items():
        before, after = whole.split(f"<!--{name}-->", 1)
        parts[name], whole = before + text, after
    return "".join([*parts.values(), whole]).encode()


def _part(name: str) -> str:
    return files("gaussvae_ros.timeline").joinpath("web", name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _as_json(figures: dict) -> str:
    """As JSON that ends no script element, whatever names are in it."""
    text = json.dumps(figures, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _block(name: str, data: np.ndarray | bytes) -> str:
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(data).decode()
    return f'<script type="text/plain" id="{name}">{text}</script>'
