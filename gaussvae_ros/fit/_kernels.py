"""One step of fit/cuda.py in Triton: the tables of raster/_binning.py, residual, gradient and
Adam, and splats' worth.

What adam.py and reseeding.py say holds here to the letter; the parts of raster/_kernels.py do the
walking. Splats of B pictures of n each are rows b * n + i; geometry rows are those of raster.cpu
(x, y, lxx, shear, lyy), float64. Colours are always three.
"""

import triton
import triton.language as tl

from gaussvae_ros.raster._binning import ROW, store_geometry
from gaussvae_ros.raster._kernels import columns_of, mix_tile, moments, rows_of, whiten


@triton.jit
def tabulate(
    geometry_ptr,  # [B * n, 5] float64
    colour_ptr,  # [B * n, 3]
    form_ptr,  # out [B * n, FORM]
    span_ptr,  # out [SPAN, B * n]
    total,  # B * n
    CUT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """What `_binning.prepare` does, from the descent's own parameters."""
    row = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    live = row < total
    g = geometry_ptr + row * 5
    x, y = tl.load(g, mask=live, other=0.0), tl.load(g + 1, mask=live, other=0.0)
    lxx, shear = tl.load(g + 2, mask=live, other=1.0), tl.load(g + 3, mask=live, other=0.0)
    lyy = tl.load(g + 4, mask=live, other=1.0)
    store_geometry(form_ptr, span_ptr, row, live, total, x, y, lxx, shear, lyy, CUT)
    for c in tl.static_range(3):
        tl.store(
            form_ptr + row * ROW + 12 + c,
            tl.load(colour_ptr + row * 3 + c, mask=live, other=0.0),
            mask=live,
        )


@triton.jit
def residual(
    form_ptr,  # [B * n, FORM]
    list_ptr,  # [B, tiles, n]
    count_ptr,  # [B, tiles]
    target_ptr,  # [B, h, w, 3]
    planes_ptr,  # out [B, 4, h, w]: of half the squared error, what `backward` takes
    n,
    w,
    h,
    tiles_x,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    EPS: tl.constexpr,
    BACKGROUND: tl.constexpr,
    TILE: tl.constexpr,
):
    """Draw one tile of one picture and take the target off it."""
    b, row, col, weights, mixed0, mixed1, mixed2 = mix_tile(
        form_ptr, list_ptr, count_ptr, n, tiles_x, 3, CUT, CUT_WEIGHT, TILE
    )
    inside = (row < h) & (col < w)
    target = target_ptr + ((b * h + row) * w + col) * 3
    inverse = 1.0 / (weights + EPS)
    red, green = (mixed0 + EPS * BACKGROUND) * inverse, (mixed1 + EPS * BACKGROUND) * inverse
    blue = (mixed2 + EPS * BACKGROUND) * inverse
    g0 = (red - tl.load(target, mask=inside, other=0.0)) * inverse
    g1 = (green - tl.load(target + 1, mask=inside, other=0.0)) * inverse
    g2 = (blue - tl.load(target + 2, mask=inside, other=0.0)) * inverse
    area = w * h
    pixel = planes_ptr + b * 4 * area + row * w + col
    tl.store(pixel, g0, mask=inside)
    tl.store(pixel + area, g1, mask=inside)
    tl.store(pixel + 2 * area, g2, mask=inside)
    tl.store(pixel + 3 * area, g0 * red + g1 * green + g2 * blue, mask=inside)


@triton.jit
def gather(
    form_ptr,  # [B * n, FORM]
    span_ptr,  # [SPAN, B * n]
    planes_ptr,  # [B, 4, h, w]
    grad_ptr,  # out [B * n, 8], by delta, M and colour
    total,
    n,
    w,
    h,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    TILE: tl.constexpr,
):
    """The gradient of one splat; its rows' frame is the one that the descent whitens by."""
    i = tl.program_id(0).to(tl.int64)
    e1, e2, e11, e22, e12, sum0, sum1, sum2 = moments(
        form_ptr, span_ptr, planes_ptr, i, total, n, w, h, 3, CUT, CUT_WEIGHT, TILE
    )
    grad = grad_ptr + i * 8
    tl.store(grad, e1)
    tl.store(grad + 1, e2)
    tl.store(grad + 2, 0.5 * e11)
    tl.store(grad + 3, e12)
    tl.store(grad + 4, 0.5 * e22)
    tl.store(grad + 5, sum0)
    tl.store(grad + 6, sum1)
    tl.store(grad + 7, sum2)


@triton.jit
def _adam(
    k: tl.constexpr,
    grad,
    first,
    second,
    rates_ptr,
    live,
    scale,
    unbias,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
):
    """The step of coordinate `k`, from rows' starts in the tables of gradients and of
    moments, which it updates."""
    g = tl.load(grad + k, mask=live, other=0.0) * scale
    m = BETA1 * tl.load(first + k, mask=live, other=0.0) + (1.0 - BETA1) * g
    v = BETA2 * tl.load(second + k, mask=live, other=0.0) + (1.0 - BETA2) * g * g
    tl.store(first + k, m, mask=live)
    tl.store(second + k, v, mask=live)
    return -tl.load(rates_ptr + k) * m / (tl.sqrt(v * unbias) + 1e-9)


@triton.jit
def update(
    grad_ptr,  # [B * n, 8]
    geometry_ptr,  # in and out [B * n, 5] float64
    colour_ptr,  # in and out [B * n, 3]
    first_ptr,  # in and out [B * n, 8]
    second_ptr,  # in and out [B * n, 8]
    rates_ptr,  # [8], over the bias of the first moment
    total,
    w,
    h,
    scale,  # n / (w * h)
    unbias,  # 1 over the bias of the second moment
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    MIN_SIGMA: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Adam's step and the move of BLOCK splats, as `adam._descend` and `adam._move` make them."""
    row = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    live = row < total
    grad, first, second = grad_ptr + row * 8, first_ptr + row * 8, second_ptr + row * 8
    delta1 = _adam(0, grad, first, second, rates_ptr, live, scale, unbias, BETA1, BETA2).to(
        tl.float64
    )
    delta2 = _adam(1, grad, first, second, rates_ptr, live, scale, unbias, BETA1, BETA2).to(
        tl.float64
    )
    m11 = _adam(2, grad, first, second, rates_ptr, live, scale, unbias, BETA1, BETA2).to(tl.float64)
    m12 = _adam(3, grad, first, second, rates_ptr, live, scale, unbias, BETA1, BETA2).to(tl.float64)
    m22 = _adam(4, grad, first, second, rates_ptr, live, scale, unbias, BETA1, BETA2).to(tl.float64)
    for c in tl.static_range(3):
        move = _adam(5 + c, grad, first, second, rates_ptr, live, scale, unbias, BETA1, BETA2)
        colour = colour_ptr + row * 3 + c
        tl.store(colour, tl.load(colour, mask=live, other=0.0) + move, mask=live)

    g = geometry_ptr + row * 5
    x, y = tl.load(g, mask=live, other=0.0), tl.load(g + 1, mask=live, other=0.0)
    lxx, shear = tl.load(g + 2, mask=live, other=1.0), tl.load(g + 3, mask=live, other=0.0)
    lyy = tl.load(g + 4, mask=live, other=1.0)
    x += lxx * delta1 + shear * lyy * delta2
    y += lyy * delta2
    e11 = 1 + m11 + (m11 * m11 + m12 * m12) / 2
    e12 = m12 + m12 * (m11 + m22) / 2
    e22 = 1 + m22 + (m22 * m22 + m12 * m12) / 2
    u22 = tl.sqrt(e22)
    u12 = e12 / u22
    u11 = tl.sqrt(tl.maximum(e11 - u12 * u12, 1e-4))
    tl.store(g, tl.minimum(tl.maximum(x, 0.0), w), mask=live)
    tl.store(g + 1, tl.minimum(tl.maximum(y, 0.0), h), mask=live)
    tl.store(g + 2, tl.maximum(lxx * u11, MIN_SIGMA), mask=live)
    tl.store(g + 3, (lxx * u12 + shear * lyy * u22) / (lyy * u22), mask=live)
    tl.store(g + 4, tl.maximum(lyy * u22, MIN_SIGMA), mask=live)


@triton.jit
def worth(
    form_ptr,  # [B * n, FORM]
    span_ptr,  # [SPAN, B * n]
    image_ptr,  # [B, h, w, 3], drawn with all splats
    inverse_ptr,  # [B, h, w], 1 / (W + EPS)
    target_ptr,  # [B, h, w, 3]
    worth_ptr,  # out [B * n]
    total,
    n,
    w,
    h,
    CUT: tl.constexpr,
    CUT_WEIGHT: tl.constexpr,
    EPS: tl.constexpr,
    TILE: tl.constexpr,
):
    """The squared error that one splat alone spares the picture."""
    i = tl.program_id(0).to(tl.int64)
    form, span = form_ptr + i * ROW, span_ptr + i
    corner = i // n * h * w
    spared = tl.zeros((TILE, TILE), tl.float32)
    y_from, y_to = rows_of(span, total, h)
    for top in range(y_from, y_to, TILE):
        x_from, x_to = columns_of(span, total, top, w, TILE)
        for start in range(x_from, x_to, TILE):
            row, col, hit, _, _, q = whiten(form, start, top, x_to, y_to, CUT, TILE)
            pixel = corner + row * w + col
            weight = tl.where(hit, tl.exp(-0.5 * q) - CUT_WEIGHT, 0.0)
            with_it = 1.0 / tl.load(inverse_ptr + pixel, mask=hit, other=1.0)
            without = tl.maximum(with_it - weight, EPS)
            for c in tl.static_range(3):
                image = tl.load(image_ptr + pixel * 3 + c, mask=hit, other=0.0)
                target = tl.load(target_ptr + pixel * 3 + c, mask=hit, other=0.0)
                after = (image * with_it - weight * tl.load(form + 12 + c)) / without - target
                spared += tl.where(hit, after * after - (image - target) * (image - target), 0.0)
    tl.store(worth_ptr + i, tl.sum(tl.sum(spared, 1), 0))
