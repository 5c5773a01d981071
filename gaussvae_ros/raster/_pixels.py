"""The loop along a row of pixels of the CPU rasteriser, written as vector instructions.

LLVM does not vectorise it: there are more rows to read and write than it checks for overlap, and
pixels of the target are interleaved.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gaussvae_ros.kernels.simd import (
    F32,
    I64,
    LANES,
    RAMP,
    fma,
    integer,
    lane_sum,
    load,
    mul,
    picked,
    splat,
    store,
    vec,
)
from gaussvae_ros.raster import EPS

_COLOURS = 3


@intrinsic
def row_slopes(typing, address, stride, width, target, background):
    """Turn a row's sums (weight, r, g, b) at `address` into (s, g_r, g_g, g_b) of half the squared
    error to a row of `target`, float32 [width, 3]; return that error.

    See `splat_moments` for what these are. `background` is the weighted colour that all pixels have
    beside the splats'. The spare columns of the row become 0.
    """
    signature = types.float32(*(types.int64,) * 4, types.float32)

    def generate(context, b, signature, args):
        base, target = (b.inttoptr(args[k], F32.as_pointer()) for k in (0, 3))
        stride, width, background = args[1], args[2], splat(b, args[4])
        rest = b.and_(width, integer(LANES - 1))
        full = b.sub(width, rest)
        # The last pixels, if they do not fill a vector: what lies behind them may not be ours.
        last = cgutils.alloca_once(b, F32, _COLOURS * LANES)
        size = b.mul(rest, integer(4 * _COLOURS))
        behind = b.gep(target, [b.mul(full, integer(_COLOURS))])
        cgutils.raw_memcpy(b, last, behind, size, 1)
        total = cgutils.alloca_once_value(b, vec(0))
        planes = [b.mul(stride, integer(k)) for k in range(1 + _COLOURS)]
        with cgutils.for_range_slice(b, integer(0), width, integer(LANES), I64) as (x, _):
            whole = b.icmp_signed("<", x, full)
            wanted = b.gep(target, [b.mul(x, integer(_COLOURS))])
            wanted = list(_colours(b, b.select(whole, wanted, last)))
            pixel = b.gep(base, [x])
            share = b.fdiv(vec(1), b.fadd(load(b, pixel), vec(EPS)))
            slope, error = vec(0), vec(0)
            for k in range(_COLOURS):
                plane = b.gep(pixel, [planes[k + 1]])
                seen = mul(b, b.fadd(load(b, plane), background), share)
                apart = b.fsub(seen, wanted[k])
                slope, error = fma(b, apart, seen, slope), fma(b, apart, apart, error)
                store(b, mul(b, apart, share), plane)
            store(b, mul(b, slope, share), pixel)
            left = b.uitofp(b.sub(width, x), F32)
            inside = b.fcmp_ordered("<", RAMP, splat(b, left))
            b.store(b.fadd(b.load(total), b.select(inside, error, vec(0))), total)
        for plane in planes:
            store(b, vec(0), b.gep(base, [b.add(plane, width)]))
        return lane_sum(b, b.load(total))

    return signature, generate


def _colours(b, pointer):
    """The colours, a vector each, of LANES pixels whose colours lie one behind the other."""
    parts = [load(b, b.gep(pointer, [integer(k * LANES)])) for k in range(_COLOURS)]
    for colour in range(_COLOURS):
        at = [_COLOURS * lane + colour for lane in range(LANES)]
        early = picked(b, parts[0], parts[1], [place % (2 * LANES) for place in at])
        lanes = [k if place < 2 * LANES else place - LANES for k, place in enumerate(at)]
        yield picked(b, early, parts[2], lanes)
