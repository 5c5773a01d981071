"""What is done per splat or tile before raster/_kernels.py draws: coefficients, extents, lists.

B pictures of n splats each are rows b * n + i of every table. A row of the `form` table is FORM
floats: floor(x), floor(y), seven coefficients of z1 and z2 (see `_kernels._offsets`), p, r,
s1 / s2 - s2 / s1, three colours (two unused in mono), one unused. The `span` table [SPAN, B * n]
is for `columns`.
"""

import triton
import triton.language as tl

FORM = 16  # floats in a row of the form table
SPAN = 6  # planes of the span table
ROW = tl.constexpr(FORM)
# px added to every extent: extents only save work, the cut itself is exact.
SLACK = tl.constexpr(0.01)
HEAD = tl.constexpr(-8192)  # mask that leaves 11 significant binary digits of a float32


@triton.jit
def _split(a):
    """A float64 coefficient as head and tail, float32."""
    head = (a.to(tl.float32).to(tl.int32, bitcast=True) & HEAD).to(tl.float32, bitcast=True)
    return head, (a - head.to(tl.float64)).to(tl.float32)


@triton.jit
def prepare(
    params_ptr,  # [B * n, 5 + C]
    form_ptr,  # out [B * n, FORM]
    span_ptr,  # out [SPAN, B * n]
    total,  # B * n
    C: tl.constexpr,
    CUT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fill both tables, in float64: it is done once per splat, not per pixel."""
    row = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    live = row < total
    source = params_ptr + row * (5 + C)
    x = tl.load(source, mask=live, other=0.0).to(tl.float64)
    y = tl.load(source + 1, mask=live, other=0.0).to(tl.float64)
    # beyond e^40 px float32 could overflow into inf - inf; nothing visible is that large or small
    log_s1 = tl.minimum(
        tl.maximum(tl.load(source + 2, mask=live, other=0.0).to(tl.float64), -40.0), 40.0
    )
    log_s2 = tl.minimum(
        tl.maximum(tl.load(source + 3, mask=live, other=0.0).to(tl.float64), -40.0), 40.0
    )
    theta = tl.load(source + 4, mask=live, other=0.0).to(tl.float64)
    cos, sin = tl.cos(theta), tl.sin(theta)
    s1, s2 = tl.exp(log_s1), tl.exp(log_s2)
    syy = sin * sin * s1 * s1 + cos * cos * s2 * s2  # covariance, px^2
    sxy = cos * sin * (s1 * s1 - s2 * s2)
    height = tl.sqrt(syy)
    width = s1 * s2 / height  # of the rows, px
    lean = sxy / syy  # of their middles, px right per px down

    store_geometry(form_ptr, span_ptr, row, live, total, x, y, width, lean, height, CUT)
    form = form_ptr + row * ROW
    tl.store(form + 9, (cos * s2 / height).to(tl.float32), mask=live)
    tl.store(form + 10, (sin * s1 / height).to(tl.float32), mask=live)
    tl.store(form + 11, (s1 / s2 - s2 / s1).to(tl.float32), mask=live)
    for c in tl.static_range(C):
        tl.store(form + 12 + c, tl.load(source + 5 + c, mask=live, other=0.0), mask=live)


@triton.jit
def store_geometry(
    form_ptr, span_ptr, row, live, total, x, y, width, lean, height, CUT: tl.constexpr
):
    """Fill both tables, but for what `prepare` adds; centres and sizes are float64, in px."""
    column, line = tl.floor(x), tl.floor(y)
    # px from the centre to the centre of its pixel.
    rest_x, rest_y = column + 0.5 - x, line + 0.5 - y
    form = form_ptr + row * ROW
    tl.store(form, column.to(tl.float32), mask=live)
    tl.store(form + 1, line.to(tl.float32), mask=live)
    head, tail = _split(1.0 / width)
    tl.store(form + 2, head, mask=live)
    tl.store(form + 3, tail, mask=live)
    head, tail = _split(-lean / width)
    tl.store(form + 4, head, mask=live)
    tl.store(form + 5, tail, mask=live)
    tl.store(form + 6, ((rest_x - lean * rest_y) / width).to(tl.float32), mask=live)
    tl.store(form + 7, (1.0 / height).to(tl.float32), mask=live)
    tl.store(form + 8, (rest_y / height).to(tl.float32), mask=live)

    reach = CUT * 1.0001  # float32 loses up to 1e-7 of an extent
    # Below the centre.
    rightmost = lean * height * height / tl.sqrt(width * width + lean * lean * height * height)
    span = span_ptr + row
    tl.store(span, x.to(tl.float32), mask=live)
    tl.store(span + total, y.to(tl.float32), mask=live)
    tl.store(span + 2 * total, (reach * height).to(tl.float32), mask=live)
    tl.store(span + 3 * total, lean.to(tl.float32), mask=live)
    tl.store(span + 4 * total, (reach * width).to(tl.float32), mask=live)
    tl.store(span + 5 * total, (reach * rightmost).to(tl.float32), mask=live)


@triton.jit
def columns(x, y, tall, lean, wide, rightmost, first, last):
    """Where a cut ellipse lies between two heights: its leftmost and rightmost abscissa, px.

    At height t above or below the centre it spans lean * t -+ wide * sqrt(1 - (t / tall)^2), whose
    ends are furthest out at -rightmost and +rightmost, or at the nearest height that is looked at.
    """
    top = tl.minimum(tl.maximum(first - y, -tall), tall)
    bottom = tl.minimum(tl.maximum(last - y, -tall), tall)
    t = tl.minimum(tl.maximum(-rightmost, top), bottom)
    left = lean * t - wide * tl.sqrt(tl.maximum(1.0 - (t / tall) * (t / tall), 0.0))
    t = tl.minimum(tl.maximum(rightmost, top), bottom)
    right = lean * t + wide * tl.sqrt(tl.maximum(1.0 - (t / tall) * (t / tall), 0.0))
    return x + left - SLACK, x + right + SLACK


@triton.jit
def list_splats(
    span_ptr,  # [SPAN, B * n]
    list_ptr,  # out [B, tiles, n], the first counts[b, tile] of a list are filled
    count_ptr,  # out [B, tiles] int32
    total,  # B * n
    n,
    tiles_x,  # tiles in a row of tiles
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """For each tile the splats that may reach it, in their own order.

    One program is one tile of one picture.
    """
    tile = tl.program_id(0)
    b = tl.program_id(1).to(tl.int64)
    slot = b * tl.num_programs(0) + tile
    x_first = (tile % tiles_x * TILE).to(tl.float32) + 0.5
    y_first = (tile // tiles_x * TILE).to(tl.float32) + 0.5
    y_last = y_first + (TILE - 1)
    count = tl.zeros((), tl.int32)
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        live = i < n
        span = span_ptr + b * n + i
        x = tl.load(span, mask=live, other=0.0)
        y = tl.load(span + total, mask=live, other=0.0)
        tall = tl.load(span + 2 * total, mask=live, other=1.0)
        lean = tl.load(span + 3 * total, mask=live, other=0.0)
        wide = tl.load(span + 4 * total, mask=live, other=0.0)
        rightmost = tl.load(span + 5 * total, mask=live, other=0.0)
        left, right = columns(x, y, tall, lean, wide, rightmost, y_first, y_last)
        near = (y - tall - SLACK <= y_last) & (y + tall + SLACK >= y_first)
        found = (live & near & (left <= x_first + (TILE - 1)) & (right >= x_first)).to(tl.int32)
        place = count + tl.cumsum(found, 0) - 1
        tl.store(list_ptr + slot * n + place, i.to(list_ptr.dtype.element_ty), mask=found > 0)
        count += tl.sum(found, 0)
    tl.store(count_ptr + slot, count)
