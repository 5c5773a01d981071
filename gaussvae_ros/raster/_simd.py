"""The two inner loops of the CPU rasteriser, written as vector instructions.

Numba compiles Python loops through LLVM, but LLVM does not vectorise these (short rows, a
masked exponential, four interleaved sums), and that costs a factor of five. So both loops are
given to LLVM as 16-wide vector code, which it maps to whatever the processor has (AVX-512, two
AVX2 or four NEON registers).

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

from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS

LANES = 16
# Sums that `splat_moments` makes: e u, e dy, e u^2, e u dy, e dy^2 with
# u = lxx z1, three of colour.
MOMENTS = 8

_F32, _F64, _I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(64)
_VEC = ir.VectorType(_F32, LANES)
_RAMP = ir.Constant(_VEC, [float(i) for i in range(LANES)])
_FAST = ("contract",)  # multiply and add may fuse


def _vec(value: float) -> ir.Constant:
    return ir.Constant(_VEC, [float(value)] * LANES)


def _splat(b, scalar):
    one = b.insert_element(ir.Constant(_VEC, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return b.shuffle_vector(
        one,
        ir.Constant(_VEC, ir.Undefined),
        ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES),
    )


def _mul(b, x, y):
    return b.fmul(x, y, flags=_FAST)


def _fma(b, x, y, z):
    return b.fadd(b.fmul(x, y, flags=_FAST), z, flags=_FAST)


def _load(b, pointer):
    value = b.load(b.bitcast(pointer, _VEC.as_pointer()))
    value.align = 4
    return value


def _store(b, value, pointer):
    b.store(value, b.bitcast(pointer, _VEC.as_pointer())).align = 4


def _call(b, name, kind, *args):
    return b.call(
        b.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind] * len(args))), args
    )


# exp(t) on [-CUT^2 / 32, 0], through Chebyshev nodes: relative error 1e-8
_EXP = Chebyshev.interpolate(np.exp, 5, [-CUT * CUT / 32, 0]).convert(kind=Polynomial).coef


def _exponential(b, q):
    """exp(-q / 2) for q in [0, CUT^2], as P(-q / 32)^16: multiplies and adds, no table."""
    t = _mul(b, q, _vec(-1 / 32))
    p = _vec(_EXP[-1])
    for coefficient in _EXP[-2::-1]:
        p = _fma(b, p, t, _vec(coefficient))
    for _ in range(4):
        p = _mul(b, p, p)
    return p


def _over_ellipse(b, base, stride, width, rows, g, body):
    """Call `body(pixel pointer, u, dy, exp or 0, weight)` for each vector of pixels inside the cut.

    Each row is walked between the roots of q = CUT^2, rounded outwards; the mask settles the
    border exactly. What is computed once a row is in float64: a thin splat far from x = 0 would
    lose its digits in float32.
    """
    mx, my, lxx, shear, lyy = g
    zero, half_pixel, one = (ir.Constant(_F64, v) for v in (0.0, 0.5, 1.0))
    inv_lyy, end = b.fdiv(one, lyy), b.sitofp(width, _F64)
    scale = _splat(b, b.fptrunc(b.fdiv(one, lxx), _F32))
    with cgutils.for_range_slice(b, rows[0], rows[1], ir.Constant(_I64, 1), _I64) as (y, _):
        dy = b.fsub(b.fadd(b.sitofp(y, _F64), half_pixel), my)
        z2 = b.fmul(dy, inv_lyy)
        q2 = b.fmul(z2, z2)
        room = b.fsub(ir.Constant(_F64, CUT * CUT), q2)
        with b.if_then(b.fcmp_ordered(">", room, zero)):
            half = b.fmul(_call(b, "llvm.sqrt", _F64, room), lxx)
            middle = b.fsub(b.fadd(mx, b.fmul(shear, dy)), half_pixel)  # as a pixel index
            left = _call(b, "llvm.maxnum", _F64, b.fsub(middle, half), zero)
            right = _call(b, "llvm.minnum", _F64, b.fadd(b.fadd(middle, half), one), end)
            # Keeps the conversions to integer defined.
            left = _call(b, "llvm.minnum", _F64, left, end)
            right = _call(b, "llvm.maxnum", _F64, right, zero)
            row = b.gep(base, [b.mul(y, b.mul(stride, ir.Constant(_I64, 4)))])
            vdy, vq2 = _splat(b, b.fptrunc(dy, _F32)), _splat(b, b.fptrunc(q2, _F32))
            x0, x1 = b.fptosi(left, _I64), b.fptosi(right, _I64)
            with cgutils.for_range_slice(b, x0, x1, ir.Constant(_I64, LANES), _I64) as (x, _):
                u0 = b.fptrunc(b.fsub(b.sitofp(x, _F64), middle), _F32)
                u = b.fadd(_splat(b, u0), _RAMP)
                z1 = b.fmul(u, scale)
                q = _fma(b, z1, z1, vq2)
                inside = b.fcmp_ordered("<", q, _vec(CUT * CUT))
                e = _exponential(b, q)
                weight = b.select(inside, b.fsub(e, _vec(CUT_WEIGHT)), _vec(0))
                body(b.gep(row, [x]), u, vdy, b.select(inside, e, _vec(0)), weight)


_GEOMETRY = (types.float64,) * 5
_COLOUR = (types.float32,) * 3


def _summed(sign: int):
    """An intrinsic's body that adds a splat to the planes, or takes it off again."""

    def define(typing, address, stride, width, y0, y1, mx, my, lxx, shear, lyy, c0, c1, c2):
        signature = types.void(*(types.int64,) * 5, *_GEOMETRY, *_COLOUR)

        def generate(context, b, signature, args):
            base = b.inttoptr(args[0], _F32.as_pointer())
            stride, width, *rows = args[1:5]
            colour = [_splat(b, x) for x in args[10:13]]

            def body(pixel, u, dy, e, weight):
                weight = b.fneg(weight) if sign < 0 else weight
                _store(b, b.fadd(_load(b, pixel), weight), pixel)
                for k in range(3):
                    plane = b.gep(pixel, [b.mul(stride, ir.Constant(_I64, k + 1))])
                    _store(b, _fma(b, weight, colour[k], _load(b, plane)), plane)

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
        base = b.inttoptr(args[0], _F32.as_pointer())
        stride, width, *rows = args[1:5]
        colour = [_splat(b, x) for x in args[10:13]]
        sums = [cgutils.alloca_once_value(b, _vec(0)) for _ in range(MOMENTS)]

        def add(k, x, y):
            b.store(_fma(b, x, y, b.load(sums[k])), sums[k])

        def body(pixel, u, dy, e, weight):
            s, *g = (
                _load(b, b.gep(pixel, [b.mul(stride, ir.Constant(_I64, k))])) for k in range(4)
            )
            slope = b.fneg(s)
            for k in range(3):
                slope = _fma(b, g[k], colour[k], slope)
                add(5 + k, weight, g[k])
            e = _mul(b, e, slope)
            e_u = _mul(b, e, u)
            e_dy = _mul(b, e, dy)
            for k, (x, y) in enumerate([(e, u), (e, dy), (e_u, u), (e_u, dy), (e_dy, dy)]):
                add(k, x, y)

        _over_ellipse(b, base, stride, width, rows, args[5:10], body)
        out = b.inttoptr(args[13], _F32.as_pointer())
        for k in range(MOMENTS):
            b.store(_sum(b, b.load(sums[k])), b.gep(out, [ir.Constant(_I64, k)]))
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
            base = b.inttoptr(args[0], _F32.as_pointer())
            stride, width, *rows = args[1:5]
            planes = [b.mul(stride, ir.Constant(_I64, k)) for k in (1, 2, 3)]
            colour = [_splat(b, x) for x in args[10:13]]
            total = cgutils.alloca_once_value(b, _vec(0))

            def body(pixel, u, dy, e, weight):
                for more in changes(b, pixel, planes, args[13], weight, colour):
                    b.store(b.fadd(b.load(total), more), total)

            _over_ellipse(b, base, stride, width, rows, args[5:10], body)
            return _sum(b, b.load(total))

        return signature, generate

    return define


def _without(b, pixel, planes, apart, weight, colour):
    left = b.fsub(_load(b, pixel), weight)
    left = b.select(b.fcmp_ordered(">", left, _vec(EPS)), left, _vec(EPS))
    share, error = b.fdiv(weight, left), b.gep(pixel, [apart])
    for plane, c in zip(planes, colour):
        change = _mul(b, share, b.fsub(_load(b, b.gep(pixel, [plane])), c))
        before = _load(b, b.gep(error, [plane]))
        yield _mul(b, change, _fma(b, before, _vec(2), change))


def _with(b, pixel, planes, apart, weight, colour):
    sum_ = b.fadd(_load(b, pixel), _vec(EPS))
    before, after = b.fdiv(_vec(1), sum_), b.fdiv(_vec(1), b.fadd(sum_, weight))
    target = b.gep(pixel, [apart])
    for plane, c in zip(planes, colour):
        mixed = b.fadd(_load(b, b.gep(pixel, [plane])), _vec(EPS * BACKGROUND))
        wanted = _load(b, b.gep(target, [plane]))
        old = b.fsub(_mul(b, mixed, before), wanted)
        new = b.fsub(_mul(b, _fma(b, weight, c, mixed), after), wanted)
        yield _mul(b, b.fsub(new, old), b.fadd(new, old))


# The squared error that one splat spares the picture. The planes at `address` hold the sum of
# weights and the picture, those `apart` on the picture less the target. Without the splat of weight
# w and colour c, a pixel of sum W and colour i is i + w / (W - w) (i - c).
splat_worth = intrinsic(_compared(_without))
# What adding a splat changes of the squared error. The planes at `address` hold (weight, weighted
# r, g, b) of the other splats, those `apart` on the target in all but the first.
splat_gain = intrinsic(_compared(_with))


def _sum(b, vector):
    """Pairwise sum of the lanes: the same on every processor."""
    n = LANES
    while n > 1:
        n //= 2
        halves = [
            b.shuffle_vector(
                vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), n), list(range(i, i + n)))
            )
            for i in (0, n)
        ]
        vector = b.fadd(*halves)
    return b.extract_element(vector, ir.Constant(ir.IntType(32), 0))
