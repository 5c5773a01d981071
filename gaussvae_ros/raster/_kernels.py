"""The Triton kernels behind raster/cuda.py. B pictures of n splats each are rows b * n + i of every table.

Precision. All pixel arithmetic is float32, and still follows the float64 reference to about 1e-6, by two devices:

* A needle of 100 x 0.1 px needs its offset across the needle to 1e-5 of its length, more than float32 products hold.
  So positions are whole pixels from the splat's own pixel, and each coefficient is cut in an 11-bit head, whose
  products with whole numbers up to 8192 are exact, and a tail (the splitting of Dekker 1971).
* Where one splat rules a pixel, c_i - image(p) is of the order of EPS and would drown in the rounding of image(p).
  So colours are summed relative to the first splat that reaches the pixel, and the image is kept as a sum of two floats.

A row of the `form` table is FORM floats: floor(x), floor(y), five coefficients of u, five of v (see `_offsets`), three
colours (two unused in mono), s1 / s2 - s2 / s1. The `span` table holds planes [6, B * n] for `_columns`.
"""

import triton
import triton.language as tl

FORM = 16  # floats in a row of the form table
SPAN = 6  # planes of the span table
SLACK = tl.constexpr(0.01)  # px added to every extent: extents only save work, the cut itself is exact
HEAD = tl.constexpr(-8192)  # bits of a float32 that hold 11 significant binary digits
ROW = tl.constexpr(FORM)


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
    log_s1 = tl.minimum(tl.maximum(tl.load(source + 2, mask=live, other=0.0).to(tl.float64), -40.0), 40.0)
    log_s2 = tl.minimum(tl.maximum(tl.load(source + 3, mask=live, other=0.0).to(tl.float64), -40.0), 40.0)
    theta = tl.load(source + 4, mask=live, other=0.0).to(tl.float64)
    cos, sin = tl.cos(theta), tl.sin(theta)
    s1, s2 = tl.exp(log_s1), tl.exp(log_s2)
    column, line = tl.floor(x), tl.floor(y)
    rest_x, rest_y = column + 0.5 - x, line + 0.5 - y  # px from the centre to the centre of its pixel

    form = form_ptr + row * ROW
    tl.store(form, column.to(tl.float32), mask=live)
    tl.store(form + 1, line.to(tl.float32), mask=live)
    ux, uy, vx, vy = cos / s1, sin / s1, -sin / s2, cos / s2
    head, tail = _split(ux)
    tl.store(form + 2, head, mask=live)
    tl.store(form + 3, tail, mask=live)
    head, tail = _split(uy)
    tl.store(form + 4, head, mask=live)
    tl.store(form + 5, tail, mask=live)
    tl.store(form + 6, (ux * rest_x + uy * rest_y).to(tl.float32), mask=live)
    head, tail = _split(vx)
    tl.store(form + 7, head, mask=live)
    tl.store(form + 8, tail, mask=live)
    head, tail = _split(vy)
    tl.store(form + 9, head, mask=live)
    tl.store(form + 10, tail, mask=live)
    tl.store(form + 11, (vx * rest_x + vy * rest_y).to(tl.float32), mask=live)
    for c in tl.static_range(C):
        tl.store(form + 12 + c, tl.load(source + 5 + c, mask=live, other=0.0), mask=live)
    tl.store(form + 15, (s1 / s2 - s2 / s1).to(tl.float32), mask=live)

    reach = CUT * 1.0001  # float32 loses up to 1e-7 of an extent
    sxx = cos * cos * s1 * s1 + sin * sin * s2 * s2
    syy = sin * sin * s1 * s1 + cos * cos * s2 * s2
    sxy = cos * sin * (s1 * s1 - s2 * s2)
    span = span_ptr + row
    tl.store(span, x.to(tl.float32), mask=live)
    tl.store(span + total, y.to(tl.float32), mask=live)
    tl.store(span + 2 * total, (reach * tl.sqrt(syy)).to(tl.float32), mask=live)  # half height
    tl.store(span + 3 * total, (sxy / syy).to(tl.float32), mask=live)  # lean: px right per px down
    tl.store(span + 4 * total, (reach * s1 * s2 / tl.sqrt(syy)).to(tl.float32), mask=live)  # half width at the centre
    tl.store(span + 5 * total, (reach * sxy / tl.sqrt(sxx)).to(tl.float32), mask=live)  # height of the rightmost point


@triton.jit
def _columns(x, y, tall, lean, wide, rightmost, first, last):
    """Where a cut ellipse lies between two heights: its leftmost and rightmost abscissa, px.

    At height t above or below the centre it spans lean * t -+ wide * sqrt(1 - (t / tall)^2), whose ends are furthest
    out at -rightmost and +rightmost, or at the nearest height that is looked at.
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
    """For each tile the splats that may reach it, in their own order. One program is one tile of one picture."""
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
        left, right = _columns(x, y, tall, lean, wide, rightmost, y_first, y_last)
        near = (y - tall - SLACK <= y_last) & (y + tall + SLACK >= y_first)
        found = (live & near & (left <= x_first + (TILE - 1)) & (right >= x_first)).to(tl.int32)
        place = count + tl.cumsum(found, 0) - 1
        tl.store(list_ptr + slot * n + place, i.to(list_ptr.dtype.element_ty), mask=found > 0)
        count += tl.sum(found, 0)
    tl.store(count_ptr + slot, count)


@triton.jit
def _offsets(form, cols, rows):
    """u and v, standard deviations along both axes, of the pixels with these column and row numbers (as floats)."""
    dx = cols - tl.load(form)
    dy = rows - tl.load(form + 1)
    u = tl.load(form + 2) * dx + tl.load(form + 4) * dy
    u += tl.load(form + 3) * dx + (tl.load(form + 5) * dy + tl.load(form + 6))
    v = tl.load(form + 7) * dx + tl.load(form + 9) * dy
    v += tl.load(form + 8) * dx + (tl.load(form + 10) * dy + tl.load(form + 11))
    return u, v


@triton.jit
def _store_colour(image_ptr, low_ptr, at, inside, ref, mixed, inverse, EPS: tl.constexpr, SAVE: tl.constexpr):
    """One channel: image = ref + (mixed - EPS ref) / (W + EPS), and what rounding took from it (TwoSum, Knuth)."""
    shift = (mixed - EPS * ref) * inverse
    image = ref + shift
    tl.store(image_ptr + at, image, mask=inside)
    if SAVE:
        part = image - ref
        tl.store(low_ptr + at, (ref - (image - part)) + (shift - part), mask=inside)


@triton.jit
def forward(
    form_ptr,  # [B * n, FORM]
    list_ptr,  # [B, tiles, n]
    count_ptr,  # [B, tiles]
    image_ptr,  # out [B, h, w, C]
    low_ptr,  # out [B, h, w, C], image + low is the image in twice the precision; written if SAVE
    inverse_ptr,  # out [B, h, w], 1 / (W + EPS); written if SAVE
    n,
    w,
    h,
    tiles_x,
    C: tl.constexpr,
    SAVE: tl.constexpr,
    CUT: tl.constexpr,
    EPS: tl.constexpr,
    TILE: tl.constexpr,
):
    """One program is one tile of one picture and goes through that tile's list."""
    tile = tl.program_id(0)
    b = tl.program_id(1).to(tl.int64)
    slot = b * tl.num_programs(0) + tile
    row = (tile // tiles_x * TILE + tl.arange(0, TILE))[:, None]
    col = (tile % tiles_x * TILE + tl.arange(0, TILE))[None, :]
    rows, cols = row.to(tl.float32), col.to(tl.float32)
    weights = tl.zeros((TILE, TILE), tl.float32)
    mixed0 = tl.zeros((TILE, TILE), tl.float32)
    mixed1 = tl.zeros((TILE, TILE), tl.float32)
    mixed2 = tl.zeros((TILE, TILE), tl.float32)
    ref0 = tl.zeros((TILE, TILE), tl.float32)
    ref1 = tl.zeros((TILE, TILE), tl.float32)
    ref2 = tl.zeros((TILE, TILE), tl.float32)
    count = tl.load(count_ptr + slot)
    for k in range(0, count):
        form = form_ptr + (b * n + tl.load(list_ptr + slot * n + k)) * ROW
        u, v = _offsets(form, cols, rows)
        q = u * u + v * v
        hit = q < CUT * CUT
        weight = tl.where(hit, tl.exp(-0.5 * q), 0.0)
        first = hit & (weights == 0.0)
        weights += weight
        c0 = tl.load(form + 12)
        ref0 = tl.where(first, c0, ref0)
        mixed0 += weight * (c0 - ref0)
        if C == 3:
            c1 = tl.load(form + 13)
            c2 = tl.load(form + 14)
            ref1 = tl.where(first, c1, ref1)
            ref2 = tl.where(first, c2, ref2)
            mixed1 += weight * (c1 - ref1)
            mixed2 += weight * (c2 - ref2)
    inside = (row < h) & (col < w)
    pixel = (b * h + row) * w + col
    inverse = 1.0 / (weights + EPS)
    _store_colour(image_ptr, low_ptr, pixel * C, inside, ref0, mixed0, inverse, EPS, SAVE)
    if C == 3:
        _store_colour(image_ptr, low_ptr, pixel * C + 1, inside, ref1, mixed1, inverse, EPS, SAVE)
        _store_colour(image_ptr, low_ptr, pixel * C + 2, inside, ref2, mixed2, inverse, EPS, SAVE)
    if SAVE:
        tl.store(inverse_ptr + pixel, inverse, mask=inside)


@triton.jit
def backward(
    form_ptr,  # [B * n, FORM]
    span_ptr,  # [SPAN, B * n]
    planes_ptr,  # [B, 2 C + 1, h, w]: C of slope / (W + EPS), C of the image, then sum_c slope_c low_c / (W + EPS)
    grad_ptr,  # out [B * n, 5 + C]
    total,  # B * n
    n,
    w,
    h,
    C: tl.constexpr,
    CUT: tl.constexpr,
    TILE: tl.constexpr,
):
    """One program is one splat: it alone visits the pixels in its reach, so sums have a fixed order and no atomics.

    With e = w_i dL/dw_i = w_i sum_c slope_c (c_ic - image_c) / (W + EPS) and q = u^2 + v^2, dL/dq = -e / 2, whence
    dL/dx = sum e (u ux + v vx), dL/dy likewise, dL/dlog s1 = sum e u^2, dL/dlog s2 = sum e v^2,
    dL/dtheta = sum e u v (s1 / s2 - s2 / s1), dL/dc = sum w_i slope_c / (W + EPS).
    """
    i = tl.program_id(0).to(tl.int64)
    form = form_ptr + i * ROW
    span = span_ptr + i
    x, y = tl.load(span), tl.load(span + total)
    tall, lean = tl.load(span + 2 * total), tl.load(span + 3 * total)
    wide, rightmost = tl.load(span + 4 * total), tl.load(span + 5 * total)
    c0 = tl.load(form + 12)
    c1 = c0
    c2 = c0
    if C == 3:
        c1 = tl.load(form + 13)
        c2 = tl.load(form + 14)
    area = w * h
    plane = planes_ptr + i // n * (2 * C + 1) * area
    sum_u = tl.zeros((TILE, TILE), tl.float32)
    sum_v = tl.zeros((TILE, TILE), tl.float32)
    sum_uu = tl.zeros((TILE, TILE), tl.float32)
    sum_vv = tl.zeros((TILE, TILE), tl.float32)
    sum_uv = tl.zeros((TILE, TILE), tl.float32)
    sum0 = tl.zeros((TILE, TILE), tl.float32)
    sum1 = tl.zeros((TILE, TILE), tl.float32)
    sum2 = tl.zeros((TILE, TILE), tl.float32)
    # the clamp comes before the cast: an integer must not overflow, whatever the splat
    y_from = tl.ceil(tl.minimum(tl.maximum(y - tall - SLACK - 0.5, 0.0), h)).to(tl.int32)
    y_to = tl.floor(tl.minimum(tl.maximum(y + tall + SLACK + 0.5, 0.0), h)).to(tl.int32)
    for top in range(y_from, y_to, TILE):
        first = top + 0.5
        left, right = _columns(x, y, tall, lean, wide, rightmost, first, first + (TILE - 1))
        x_from = tl.ceil(tl.minimum(tl.maximum(left - 0.5, 0.0), w)).to(tl.int32)
        x_to = tl.floor(tl.minimum(tl.maximum(right + 0.5, 0.0), w)).to(tl.int32)
        for start in range(x_from, x_to, TILE):
            row = (top + tl.arange(0, TILE))[:, None]
            col = (start + tl.arange(0, TILE))[None, :]
            u, v = _offsets(form, col.to(tl.float32), row.to(tl.float32))
            q = u * u + v * v
            hit = (q < CUT * CUT) & (row < y_to) & (col < x_to)
            weight = tl.where(hit, tl.exp(-0.5 * q), 0.0)
            pixel = plane + row * w + col
            slope = tl.load(pixel, mask=hit, other=0.0)
            e = slope * (c0 - tl.load(pixel + C * area, mask=hit, other=0.0))
            sum0 += weight * slope
            if C == 3:
                slope = tl.load(pixel + area, mask=hit, other=0.0)
                e += slope * (c1 - tl.load(pixel + 4 * area, mask=hit, other=0.0))
                sum1 += weight * slope
                slope = tl.load(pixel + 2 * area, mask=hit, other=0.0)
                e += slope * (c2 - tl.load(pixel + 5 * area, mask=hit, other=0.0))
                sum2 += weight * slope
            e = weight * (e - tl.load(pixel + 2 * C * area, mask=hit, other=0.0))
            u = tl.where(hit, u, 0.0)  # far from a tiny splat u * u is inf, and inf * 0 would be NaN
            v = tl.where(hit, v, 0.0)
            sum_u += e * u
            sum_v += e * v
            sum_uu += e * u * u
            sum_vv += e * v * v
            sum_uv += e * u * v
    grad = grad_ptr + i * (5 + C)
    along = tl.sum(tl.sum(sum_u, 1), 0)
    across = tl.sum(tl.sum(sum_v, 1), 0)
    ux, uy = tl.load(form + 2) + tl.load(form + 3), tl.load(form + 4) + tl.load(form + 5)
    vx, vy = tl.load(form + 7) + tl.load(form + 8), tl.load(form + 9) + tl.load(form + 10)
    tl.store(grad, along * ux + across * vx)
    tl.store(grad + 1, along * uy + across * vy)
    tl.store(grad + 2, tl.sum(tl.sum(sum_uu, 1), 0))
    tl.store(grad + 3, tl.sum(tl.sum(sum_vv, 1), 0))
    tl.store(grad + 4, tl.sum(tl.sum(sum_uv, 1), 0) * tl.load(form + 15))
    tl.store(grad + 5, tl.sum(tl.sum(sum0, 1), 0))
    if C == 3:
        tl.store(grad + 6, tl.sum(tl.sum(sum1, 1), 0))
        tl.store(grad + 7, tl.sum(tl.sum(sum2, 1), 0))
