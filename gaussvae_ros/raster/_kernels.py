"""The pixels of raster/cuda.py in Triton: image from splats, and its gradient back to the splats.

Whitening by rows. q = z1^2 + z2^2 with z2 = dy / height and z1 = (dx - lean dy) / width: one number
a pixel and one a row, where the axes of the splat would take two a pixel. The axes' own
u = p z1 + r z2 and v = p z2 - r z1 are a rotation of them, p = cos(theta) s2 / height,
r = sin(theta) s1 / height, applied to the sums once all pixels are in.

Precision. All pixel arithmetic is float32. A needle of 100 x 0.1 px needs the offset across it to
1e-7 of its length, more than float32 products hold. So positions are whole pixels from the splat's
own pixel, and coefficients are cut in an 11-bit head, whose products with whole numbers up to 8192
are exact, and a tail (the splitting of Dekker 1971).

The tables are those of raster/_binning.py. fit/_kernels.py builds on the same parts.
"""

import triton
import triton.language as tl

from gaussvae_ros.raster._binning import ROW, SLACK, columns


@triton.jit
def _offsets(form, cols, rows):
    """z1 and z2 of the pixels in these columns and rows (as floats); z2 is the same along a row."""
    dx = cols - tl.load(form)
    dy = rows - tl.load(form + 1)
    z1 = tl.load(form + 2) * dx + tl.load(form + 4) * dy
    z1 += tl.load(form + 3) * dx + (tl.load(form + 5) * dy + tl.load(form + 6))
    return z1, tl.load(form + 7) * dy + tl.load(form + 8)


@triton.jit
def mix_tile(
    form_ptr,
    list_ptr,
    count_ptr,
    n,
    tiles_x,
    C: tl.constexpr,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    TILE: tl.constexpr,
):
    """Go through one tile's list: picture, rows, columns, sums of weights and weighted colours."""
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
    count = tl.load(count_ptr + slot)
    for k in range(0, count):
        form = form_ptr + (b * n + tl.load(list_ptr + slot * n + k)) * ROW
        z1, z2 = _offsets(form, cols, rows)
        q = z1 * z1 + z2 * z2
        hit = q < CUT * CUT
        weight = tl.where(hit, tl.exp(-0.5 * q) - CUT_WEIGHT, 0.0)
        weights += weight
        mixed0 += weight * tl.load(form + 12)
        if C == 3:
            mixed1 += weight * tl.load(form + 13)
            mixed2 += weight * tl.load(form + 14)
    return b, row, col, weights, mixed0, mixed1, mixed2


@triton.jit
def forward(
    form_ptr,  # [B * n, FORM]
    list_ptr,  # [B, tiles, n]
    count_ptr,  # [B, tiles]
    image_ptr,  # out [B, h, w, C]
    inverse_ptr,  # out [B, h, w], 1 / (W + EPS); written if SAVE
    n,
    w,
    h,
    tiles_x,
    C: tl.constexpr,
    SAVE: tl.constexpr,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    EPS: tl.constexpr,
    BACKGROUND: tl.constexpr,
    TILE: tl.constexpr,
):
    """One program is one tile of one picture."""
    b, row, col, weights, mixed0, mixed1, mixed2 = mix_tile(
        form_ptr, list_ptr, count_ptr, n, tiles_x, C, CUT, CUT_WEIGHT, TILE
    )
    inside = (row < h) & (col < w)
    pixel = (b * h + row) * w + col
    inverse = 1.0 / (weights + EPS)
    tl.store(image_ptr + pixel * C, (mixed0 + EPS * BACKGROUND) * inverse, mask=inside)
    if C == 3:
        tl.store(image_ptr + pixel * C + 1, (mixed1 + EPS * BACKGROUND) * inverse, mask=inside)
        tl.store(image_ptr + pixel * C + 2, (mixed2 + EPS * BACKGROUND) * inverse, mask=inside)
    if SAVE:
        tl.store(inverse_ptr + pixel, inverse, mask=inside)


@triton.jit
def rows_of(span, total, h):
    """The rows, first to end, that a splat can reach."""
    y, tall = tl.load(span + total), tl.load(span + 2 * total)
    # the clamp comes before the cast: an integer must not overflow, whatever the splat
    first = tl.ceil(tl.minimum(tl.maximum(y - tall - SLACK - 0.5, 0.0), h)).to(tl.int32)
    end = tl.floor(tl.minimum(tl.maximum(y + tall + SLACK + 0.5, 0.0), h)).to(tl.int32)
    return first, end


@triton.jit
def columns_of(span, total, top, w, TILE: tl.constexpr):
    """The columns, first to end, that a splat can reach in the TILE rows from `top`."""
    x, y, tall = tl.load(span), tl.load(span + total), tl.load(span + 2 * total)
    lean, wide, rightmost = (
        tl.load(span + 3 * total),
        tl.load(span + 4 * total),
        tl.load(span + 5 * total),
    )
    highest = top + 0.5
    left, right = columns(x, y, tall, lean, wide, rightmost, highest, highest + (TILE - 1))
    first = tl.ceil(tl.minimum(tl.maximum(left - 0.5, 0.0), w)).to(tl.int32)
    end = tl.floor(tl.minimum(tl.maximum(right + 0.5, 0.0), w)).to(tl.int32)
    return first, end


@triton.jit
def whiten(form, start, top, x_to, y_to, CUT: tl.constexpr, TILE: tl.constexpr):
    """A tile as one splat sees it: row, column, inside its cut (and x_to, y_to), z1, z2, q."""
    row = (top + tl.arange(0, TILE))[:, None]
    col = (start + tl.arange(0, TILE))[None, :]
    z1, z2 = _offsets(form, col.to(tl.float32), row.to(tl.float32))
    q = z1 * z1 + z2 * z2
    hit = (q < CUT * CUT) & (row < y_to) & (col < x_to)
    return row, col, hit, z1, z2, q


@triton.jit
def moments(
    form_ptr,
    span_ptr,
    planes_ptr,
    i,
    total,
    n,
    w,
    h,
    C: tl.constexpr,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    TILE: tl.constexpr,
):
    """The sums over the pixels of splat `i` that its gradient is made of, in the frame of its rows.

    With e = exp(-q / 2) dL/dw_i = exp(-q / 2) sum_c g_c (c_ic - image_c): sum e z1, e z2, e z1^2,
    e z2^2, e z1 z2, and sum w_i g_c, zero for the colours that there are not.
    """
    form = form_ptr + i * ROW
    span = span_ptr + i
    c0 = tl.load(form + 12)
    c1 = c0
    c2 = c0
    if C == 3:
        c1 = tl.load(form + 13)
        c2 = tl.load(form + 14)
    area = w * h
    plane = planes_ptr + i // n * (C + 1) * area
    sum_1 = tl.zeros((TILE, TILE), tl.float32)
    sum_2 = tl.zeros((TILE, TILE), tl.float32)
    sum_11 = tl.zeros((TILE, TILE), tl.float32)
    sum_22 = tl.zeros((TILE, TILE), tl.float32)
    sum_12 = tl.zeros((TILE, TILE), tl.float32)
    sum0 = tl.zeros((TILE, TILE), tl.float32)
    sum1 = tl.zeros((TILE, TILE), tl.float32)
    sum2 = tl.zeros((TILE, TILE), tl.float32)
    y_from, y_to = rows_of(span, total, h)
    for top in range(y_from, y_to, TILE):
        x_from, x_to = columns_of(span, total, top, w, TILE)
        for start in range(x_from, x_to, TILE):
            row, col, hit, z1, z2, q = whiten(form, start, top, x_to, y_to, CUT, TILE)
            gauss = tl.where(hit, tl.exp(-0.5 * q), 0.0)
            weight = tl.where(hit, gauss - CUT_WEIGHT, 0.0)
            pixel = plane + row * w + col
            g = tl.load(pixel, mask=hit, other=0.0)
            e = g * c0 - tl.load(pixel + C * area, mask=hit, other=0.0)
            sum0 += weight * g
            if C == 3:
                g = tl.load(pixel + area, mask=hit, other=0.0)
                e += g * c1
                sum1 += weight * g
                g = tl.load(pixel + 2 * area, mask=hit, other=0.0)
                e += g * c2
                sum2 += weight * g
            e *= gauss
            # Far from a tiny splat z1 * z1 is inf, and inf * 0 would be NaN.
            z1 = tl.where(hit, z1, 0.0)
            z2 = tl.where(hit, z2, 0.0)
            sum_1 += e * z1
            sum_2 += e * z2
            sum_11 += e * z1 * z1
            sum_22 += e * z2 * z2
            sum_12 += e * z1 * z2
    e1, e2 = tl.sum(tl.sum(sum_1, 1), 0), tl.sum(tl.sum(sum_2, 1), 0)
    e11, e22, e12 = (
        tl.sum(tl.sum(sum_11, 1), 0),
        tl.sum(tl.sum(sum_22, 1), 0),
        tl.sum(tl.sum(sum_12, 1), 0),
    )
    return (
        e1,
        e2,
        e11,
        e22,
        e12,
        tl.sum(tl.sum(sum0, 1), 0),
        tl.sum(tl.sum(sum1, 1), 0),
        tl.sum(tl.sum(sum2, 1), 0),
    )


@triton.jit
def backward(
    form_ptr,  # [B * n, FORM]
    span_ptr,  # [SPAN, B * n]
    planes_ptr,  # [B, C + 1, h, w]: g_c = dL/dimage_c / (W + EPS), then sum_c g_c image_c
    grad_ptr,  # out [B * n, 5 + C]
    total,  # B * n
    n,
    w,
    h,
    C: tl.constexpr,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    TILE: tl.constexpr,
):
    """One program per splat visits the pixels in its reach: sums in a fixed order, no atomics.

    With e as in `moments`, dL/dq = -e / 2, whence
    dL/dx = sum e z1 / width, dL/dy = sum e (z2 / height - z1 lean / width), dL/dlog s1 = sum e u^2,
    dL/dlog s2 = sum e v^2, dL/dtheta = sum e u v (s1 / s2 - s2 / s1), dL/dc = sum w_i g_c.
    """
    i = tl.program_id(0).to(tl.int64)
    e1, e2, e11, e22, e12, sum0, sum1, sum2 = moments(
        form_ptr, span_ptr, planes_ptr, i, total, n, w, h, C, CUT, CUT_WEIGHT, TILE
    )
    form = form_ptr + i * ROW
    grad = grad_ptr + i * (5 + C)
    p, r = tl.load(form + 9), tl.load(form + 10)
    tl.store(grad, e1 * (tl.load(form + 2) + tl.load(form + 3)))
    tl.store(grad + 1, e1 * (tl.load(form + 4) + tl.load(form + 5)) + e2 * tl.load(form + 7))
    tl.store(grad + 2, p * p * e11 + 2.0 * p * r * e12 + r * r * e22)
    tl.store(grad + 3, r * r * e11 - 2.0 * p * r * e12 + p * p * e22)
    tl.store(grad + 4, (p * r * (e22 - e11) + (p * p - r * r) * e12) * tl.load(form + 11))
    tl.store(grad + 5, sum0)
    if C == 3:
        tl.store(grad + 6, sum1)
        tl.store(grad + 7, sum2)
