"""The two inner loops of the CPU rasteriser, written as vector instructions.

Numba compiles Python loops through LLVM, but LLVM does not vectorise these (short rows, a
masked exponential, four interleaved sums), and that costs a factor of five. So both loops are
given to LLVM as vector code (see kernels/simd.py).

A splat's shape is seen here through the upper triangular root of its covariance: with
dy = lyy z2 and dx = lxx z1 + shear dy, q = z1^2 + z2^2. This is whitening that keeps rows of
pixels rows, and it loses no digits on thin splats. Pictures are planes of rows, float32
[h, 4, stride]: four values a pixel, each row with LANES spare columns at its end, because the last
vector of a row may run past the picture.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.polynomial import Chebyshev, Polynomial

from gaussvae_ros.kernels.simd import (
    F32,
    F64,
    I32,
    I64,
    LANES,
    RAMP,
    fma,
    higher,
    integer,
    lane_sum,
    load,
    lower,
    mul,
    splat,
    store,
    vec,
)
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS

# Sums that `splat_moments` makes: e u, e dy, e u^2, e u dy, e dy^2 with
# u = lxx z1, three of colour.
MOMENTS = 8

AHEAD = 8  # rows whose first and last pixels are computed at once

_ROWS = ir.VectorType(F64, AHEAD)
_AHEAD_RAMP = ir.Constant(_ROWS, [float(i) for i in range(AHEAD)])


# exp(t) on [-CUT^2 / 32, 0], through Chebyshev nodes: relative error 1e-8
_EXP = Chebyshev.interpolate(np.exp, 5, [-CUT * CUT / 32, 0]).convert(kind=Polynomial).coef


def _exponential(b, q):
    """exp(-q / 2) for q in [0, CUT^2], as P(-q / 32)^16: multiplies and adds, no table."""
    t = mul(b, q, vec(-1 / 32))
    p = vec(_EXP[-1])
    for coefficient in _EXP[-2::-1]:
        p = fma(b, p, t, vec(coefficient))
    for _ in range(4):
        p = mul(b, p, p)
    return p


def _root(b, rows):
    kind, name = ir.FunctionType(_ROWS, [_ROWS]), f"llvm.sqrt.v{AHEAD}f64"
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), [rows])


def _over_ellipse(b, base, stride, width, rows, g, body):
    """Call `body(pixel pointer, u, dy, exp or 0, weight)` for each vector of pixels inside the cut.

    Each row is walked between the roots of q = CUT^2, rounded outwards; the mask settles the
    border exactly. What is computed once a row is in float64: a thin splat far from x = 0 would
    lose its digits in float32. It is computed for several rows at once, ahead of the pixels: the
    processor guesses wrong where many a row ends, and would wait for the next row's root each time.
    """
    mx, my, lxx, shear, lyy = (splat(b, x, _ROWS) for x in g)
    one, zero = vec(1.0, _ROWS), vec(0.0, _ROWS)
    inv_lyy, end = b.fdiv(one, lyy), splat(b, b.sitofp(width, F64), _ROWS)
    scale = splat(b, b.fptrunc(b.fdiv(ir.Constant(F64, 1.0), g[2]), F32))
    kinds = (F32, F32, F64, I32, I32)  # dy, q2, middle, first pixel, end
    tables = [cgutils.alloca_once(b, kind, AHEAD) for kind in kinds]
    ahead = integer(AHEAD)
    with cgutils.for_range_slice(b, rows[0], rows[1], ahead, I64) as (top, _):
        y = b.fadd(splat(b, b.sitofp(top, F64), _ROWS), _AHEAD_RAMP)
        dy = b.fsub(b.fadd(y, vec(0.5, _ROWS)), my)
        z2 = b.fmul(dy, inv_lyy)
        q2 = b.fmul(z2, z2)
        room = b.fsub(vec(CUT * CUT, _ROWS), q2)
        half = b.fmul(_root(b, higher(b, room, zero)), lxx)
        middle = b.fsub(b.fadd(mx, b.fmul(shear, dy)), vec(0.5, _ROWS))  # as a pixel index
        # Bounded on both sides, which keeps the conversions to integer defined.
        left = lower(b, higher(b, b.fsub(middle, half), zero), end)
        right = higher(b, lower(b, b.fadd(b.fadd(middle, half), one), end), zero)
        right = b.select(b.fcmp_ordered(">", room, zero), right, left)
        single, whole = ir.VectorType(F32, AHEAD), ir.VectorType(I32, AHEAD)
        made = b.fptrunc(dy, single), b.fptrunc(q2, single), middle
        made += b.fptosi(left, whole), b.fptosi(right, whole)
        for table, value in zip(tables, made):
            b.store(value, b.bitcast(table, value.type.as_pointer())).align = 4
        left_over = b.sub(rows[1], top)
        count = b.select(b.icmp_signed("<", left_over, ahead), left_over, ahead)
        with cgutils.for_range(b, count, intp=I64) as loop:
            dy, q2, middle, x0, x1 = (b.load(b.gep(table, [loop.index])) for table in tables)
            row = b.mul(b.add(top, loop.index), b.mul(stride, integer(4)))
            row, vdy, vq2 = b.gep(base, [row]), splat(b, dy), splat(b, q2)
            x0, x1 = b.sext(x0, I64), b.sext(x1, I64)
            with cgutils.for_range_slice(b, x0, x1, integer(LANES), I64) as (x, _):
                u0 = b.fptrunc(b.fsub(b.sitofp(x, F64), middle), F32)
                u = b.fadd(splat(b, u0), RAMP)
                z1 = b.fmul(u, scale)
                q = fma(b, z1, z1, vq2)
                inside = b.fcmp_ordered("<", q, vec(CUT * CUT))
                e = _exponential(b, q)
                weight = b.select(inside, b.fsub(e, vec(CUT_WEIGHT)), vec(0))
                body(b.gep(row, [x]), u, vdy, b.select(inside, e, vec(0)), weight)


_GEOMETRY = (types.float64,) * 5
_COLOUR = (types.float32,) * 3


def _summed(sign: int):
    """An intrinsic's body that adds a splat to the planes, or takes it off again."""

    def define(typing, address, stride, width, y0, y1, mx, my, lxx, shear, lyy, c0, c1, c2):
        signature = types.void(*(types.int64,) * 5, *_GEOMETRY, *_COLOUR)

        def generate(context, b, signature, args):
            base = b.inttoptr(args[0], F32.as_pointer())
            stride, width, *rows = args[1:5]
            colour = [splat(b, x) for x in args[10:13]]

            def body(pixel, u, dy, e, weight):
                weight = b.fneg(weight) if sign < 0 else weight
                store(b, b.fadd(load(b, pixel), weight), pixel)
                for k in range(3):
                    plane = b.gep(pixel, [b.mul(stride, integer(k + 1))])
                    store(b, fma(b, weight, colour[k], load(b, plane)), plane)

            _over_ellipse(b, base, stride, width, rows, args[5:10], body)
            return context.get_dummy_value()

        return signature, generate

    return define


# Add a splat to rows y0 to y1 of the planes (weight, weighted r, g, b) at `address`; take it off.
add_splat = intrinsic(_summed(1))
take_splat = intrinsic(_summed(-1))


@intrinsic
def splat_moments(typing, address, stride, width, y0, y1, mx, my, lxx, shear, lyy, c0, c1, c2, out):
    """The sums over a splat's pixels that make its gradient, float32 [MOMENTS] at address `out`.

    The planes at `address` hold (s, g_r, g_g, g_b): the gradient of the loss by colour over the
    pixel's weight sum, and s = g . colour. Then dL/dw = g . c - s, and with e = -2 dL/dq the sums
    are those named at MOMENTS.
    """
    signature = types.void(*(types.int64,) * 5, *_GEOMETRY, *_COLOUR, types.int64)

    def generate(context, b, signature, args):
        base = b.inttoptr(args[0], F32.as_pointer())
        stride, width, *rows = args[1:5]
        colour = [splat(b, x) for x in args[10:13]]
        sums = [cgutils.alloca_once_value(b, vec(0)) for _ in range(MOMENTS)]

        def add(k, x, y):
            b.store(fma(b, x, y, b.load(sums[k])), sums[k])

        def body(pixel, u, dy, e, weight):
            s, *g = (load(b, b.gep(pixel, [b.mul(stride, integer(k))])) for k in range(4))
            slope = b.fneg(s)
            for k in range(3):
                slope = fma(b, g[k], colour[k], slope)
                add(5 + k, weight, g[k])
            e = mul(b, e, slope)
            e_u = mul(b, e, u)
            e_dy = mul(b, e, dy)
            for k, (x, y) in enumerate([(e, u), (e, dy), (e_u, u), (e_u, dy), (e_dy, dy)]):
                add(k, x, y)

        _over_ellipse(b, base, stride, width, rows, args[5:10], body)
        out = b.inttoptr(args[13], F32.as_pointer())
        for k in range(MOMENTS):
            b.store(lane_sum(b, b.load(sums[k])), b.gep(out, [integer(k)]))
        return context.get_dummy_value()

    return signature, generate


def _compared(changes):
    """An intrinsic's body that sums what a splat changes of the squared error, float32.

    `changes(builder, pixel, planes, apart, weight, colour)` gives the change of each channel at a
    vector of pixels, whose planes are `planes` floats on, and another picture's `apart` further.
    """

    def define(typing, address, stride, width, y0, y1, mx, my, lxx, shear, lyy, c0, c1, c2, apart):
        signature = types.float32(*(types.int64,) * 5, *_GEOMETRY, *_COLOUR, types.int64)

        def generate(context, b, signature, args):
            base = b.inttoptr(args[0], F32.as_pointer())
            stride, width, *rows = args[1:5]
            planes = [b.mul(stride, integer(k)) for k in (1, 2, 3)]
            colour = [splat(b, x) for x in args[10:13]]
            total = cgutils.alloca_once_value(b, vec(0))

            def body(pixel, u, dy, e, weight):
                for more in changes(b, pixel, planes, args[13], weight, colour):
                    b.store(b.fadd(b.load(total), more), total)

            _over_ellipse(b, base, stride, width, rows, args[5:10], body)
            return lane_sum(b, b.load(total))

        return signature, generate

    return define


def _without(b, pixel, planes, apart, weight, colour):
    left = b.fsub(load(b, pixel), weight)
    left = b.select(b.fcmp_ordered(">", left, vec(EPS)), left, vec(EPS))
    share, error = b.fdiv(weight, left), b.gep(pixel, [apart])
    for plane, c in zip(planes, colour):
        change = mul(b, share, b.fsub(load(b, b.gep(pixel, [plane])), c))
        before = load(b, b.gep(error, [plane]))
        yield mul(b, change, fma(b, before, vec(2), change))


def _with(b, pixel, planes, apart, weight, colour):
    sum_ = b.fadd(load(b, pixel), vec(EPS))
    before, after = b.fdiv(vec(1), sum_), b.fdiv(vec(1), b.fadd(sum_, weight))
    target = b.gep(pixel, [apart])
    for plane, c in zip(planes, colour):
        mixed = b.fadd(load(b, b.gep(pixel, [plane])), vec(EPS * BACKGROUND))
        wanted = load(b, b.gep(target, [plane]))
        old = b.fsub(mul(b, mixed, before), wanted)
        new = b.fsub(mul(b, fma(b, weight, c, mixed), after), wanted)
        yield mul(b, b.fsub(new, old), b.fadd(new, old))


# The squared error that one splat spares the picture. The planes at `address` hold the sum of
# weights and the picture, those `apart` on the picture less the target. Without the splat of weight
# w and colour c, a pixel of sum W and colour i is i + w / (W - w) (i - c).
splat_worth = intrinsic(_compared(_without))
# What adding a splat changes of the squared error. The planes at `address` hold (weight, weighted
# r, g, b) of the other splats, those `apart` on the target in all but the first.
splat_gain = intrinsic(_compared(_with))
