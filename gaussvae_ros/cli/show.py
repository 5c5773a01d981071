"""What verbs print and write: JSON or text, tables, pictures."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

LOADING = (8, 8)  # px of a picture that is decoded before one is measured


def show(args: argparse.Namespace, figures: dict | list, text: str) -> None:
    """Print `figures` as JSON if that was asked for, else `text`; on stderr where the file that
    the verb writes is stdout itself, as in `gaussvae encode x.png -o /dev/stdout | ssh ...`.
    """
    if args.json:  # where names of files are not UTF-8, JSON cannot hold them
        whole = json.dumps(figures, ensure_ascii=False).encode(errors="replace")
        text = json.dumps(json.loads(whole))
    out = os.path.realpath(str(getattr(args, "out", "")))
    print(text, file=sys.stderr if out == os.path.realpath("/dev/stdout") else sys.stdout)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under column heads: first column to the left, numbers to the right, None as a
    dash.
    """
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        first, *rest = row
        print(
            "  ".join(
                [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:]))]
            ).rstrip()
        )


def warn(problems: Sequence[str]) -> None:
    """Print on stderr what was skipped, dropped or guessed."""
    for problem in problems:
        print(f"gaussvae: {problem}", file=sys.stderr)


def replayed(result: dict) -> None:
    """Print what a replay found: one line on the bag, the table."""
    from gaussvae_ros.evaluation.recalls import COLUMNS, as_rows

    where = f"poses from {result['poses']}" if result["poses"] else "no poses"
    skipped = f" and {result['skipped']} skipped" if result["skipped"] else ""
    frames = f"{result['frames']} frames, {result['keys']} of them key records{skipped}"
    print(f"{result['topic']}: {frames}, {result['span_s']:.1f} s, {where}")
    table(COLUMNS, as_rows(result))
    if result.get("looked_at"):
        print(f"Looked at: {result['looked_at']} frames")
    if "forgotten" in result:
        counts = [f"{result[what]} frames {what}" for what in ("forgotten", "reencoded", "refused")]
        print(f"Budget: {', '.join(counts)}, {result['left']} left")
        if result["over_budget"]:
            print(result["over_budget"])
    if result["report"]:
        print(f"Report: {result['report']}")


def write_picture(
    args: argparse.Namespace,
    data: bytes | list[bytes],
    facts: dict | None = None,
    models: Sequence = (),
    mode: int | None = None,
) -> None:
    """Decode a record, or the records that a frame takes, with the size and region of `args` into
    the file that they name, which gets this mode if it is new.

    `models` is where, besides, its model may be; `facts` go with the figures that are printed.
    """
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.files import image_format, write_image
    from gaussvae_ros.maintenance.needed_models import model_of

    image_format(args.out)  # before the codec loads
    # Kernels load once, and models: neither is measured. A second codec, for the first one has
    # what this record needs, and itself where it was predicted, at hand from then on.
    FrameCodec(models=models).decode(data, size=LOADING, roi=args.roi)
    codec = FrameCodec(models=models)
    for record in [data] if isinstance(data, bytes) else data:
        if hash_ := model_of(record):
            codec.models.get(hash_)
    begun = time.perf_counter()
    image = codec.decode(data, size=args.size, roi=args.roi)
    taken = 1e3 * (time.perf_counter() - begun)
    write_image(args.out, image, mode)
    height, width = image.shape[:2]
    figures = {
        "image": args.out,
        "width": width,
        "height": height,
        "decode_ms": taken,
        **(facts or {}),
    }
    show(args, figures, f"{args.out}: {width}x{height} px, decoded in {taken:.1f} ms")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return (
            f"{value:,.0f}"
            if abs(value) >= 1000
            else f"{value:.3f}"
            if abs(value) < 1
            else f"{value:.2f}"
        )
    return f"{value:,}" if isinstance(value, int) else str(value)
