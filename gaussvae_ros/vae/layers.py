"""The arithmetic of the small networks: whole numbers in, whole numbers out.

Weights and activations are integers and no sum reaches 2^24, so that float32, which is fast, holds
all of them exactly: any order of adding gives the same, on every machine.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gaussvae_ros.kernels import kernel
from gaussvae_ros.kernels.simd import (
    F32,
    I64,
    LANES,
    VEC,
    fma,
    higher,
    integer,
    load,
    lower,
    splat,
    store,
    vec,
)
from gaussvae_ros.vae.contexts import MOST, ONE, SHIFT

ROWS = 4  # that are worked on at once, so that each weight is loaded once for them


@kernel()
def rounded(features, mean, gain):
    """Features [rows, F] as integers, less `mean` [F] and times `gain` [F], squeezed
    to -8 ONE..8 ONE; int32."""
    out = np.empty(features.shape, np.int32)
    for r in range(features.shape[0]):
        for f in range(features.shape[1]):
            z = (features[r, f] - mean[f]) * gain[f]
            out[r, f] = int(np.floor(z / (1.0 + abs(z) / 8) * ONE + 0.5))
    return out


@kernel()
def network(features, mean, gain, weight0, bias0, weight1, bias1, weight2, bias2):
    """Outputs int32 [rows, outputs], -MOST..MOST, of features [rows, F]: three layers of weights
    float32 [in, out], all of them `widened`."""
    rows = len(features)
    inputs = np.zeros(((rows + ROWS - 1) // ROWS * ROWS, features.shape[1]), np.float32)
    inputs[:rows] = rounded(features, mean, gain)
    inner = _layer(_layer(inputs, weight0, bias0, 0), weight1, bias1, 0)
    return _layer(inner, weight2, bias2, -MOST)[:rows].astype(np.int32)


def widened(array: np.ndarray) -> np.ndarray:  # float32 [..., n LANES]
    """Weights or biases with as many columns as vectors have, the new ones 0."""
    spare = -array.shape[-1] % LANES
    made = np.pad(array.astype(np.float32), [(0, 0)] * (array.ndim - 1) + [(0, spare)])
    return np.ascontiguousarray(made)  # the kernel goes by addresses


@kernel()
def _layer(inputs, weights, bias, low):
    """Inputs [rows, F] times weights [F, H] plus bias [H], in units of 2^SHIFT, rounded, within
    low..MOST. Rows are a multiple of ROWS, H one of LANES."""
    count, width = weights.shape
    out = np.empty((len(inputs), width), np.float32)
    for r in range(0, len(inputs), ROWS):
        for h in range(0, width, LANES):
            _block(
                inputs.ctypes.data + 4 * r * inputs.shape[1],
                inputs.shape[1],
                count,
                weights.ctypes.data + 4 * h,
                width,
                bias.ctypes.data + 4 * h,
                out.ctypes.data + 4 * (r * width + h),
                np.float32(low),
            )
    return out


@intrinsic
def _block(typing, inputs, stride, count, weights, width, bias, out, low):
    """LANES outputs of ROWS rows: `count` inputs a row, rows `stride` floats apart, weights and
    outputs of the next input or row `width` floats further."""
    signature = types.void(*(types.int64,) * 7, types.float32)

    def generate(context, b, signature, args):
        inputs, weights, bias, out = (b.inttoptr(args[k], F32.as_pointer()) for k in (0, 3, 5, 6))
        stride, count, width = args[1], args[2], args[4]
        low, most = splat(b, args[7]), vec(MOST)
        sums = [cgutils.alloca_once_value(b, load(b, bias)) for _ in range(ROWS)]
        rows = [b.gep(inputs, [b.mul(stride, integer(r))]) for r in range(ROWS)]
        with cgutils.for_range(b, count, intp=I64) as loop:
            weight = load(b, b.gep(weights, [b.mul(loop.index, width)]))
            for row, place in zip(rows, sums):
                value = splat(b, b.load(b.gep(row, [loop.index])))
                b.store(fma(b, value, weight, b.load(place)), place)
        for r, place in enumerate(sums):
            scaled = fma(b, b.load(place), vec(2.0**-SHIFT), vec(0.5))
            kept = lower(b, higher(b, _floor(b, scaled), low), most)
            store(b, kept, b.gep(out, [b.mul(width, integer(r))]))
        return context.get_dummy_value()

    return signature, generate


def _floor(b, vector):
    kind = ir.FunctionType(VEC, [VEC])
    name = f"llvm.floor.v{LANES}f32"
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), [vector])
