"""What kernels that are written as vector instructions are built of.

Where LLVM does not vectorise a loop by itself, an intrinsic's body gives it vectors of LANES
floats, which it maps to whatever the processor has (AVX-512, two AVX2 or four NEON registers).
In all of these `b` is llvmlite's builder.
"""

from llvmlite import ir

LANES = 16

F32, F64, I32, I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
VEC = ir.VectorType(F32, LANES)
FAST = ("contract",)  # multiply and add may fuse
RAMP = ir.Constant(VEC, [float(i) for i in range(LANES)])


def vec(value: float, kind: ir.VectorType = VEC) -> ir.Constant:
    """A vector of one number, known now."""
    return ir.Constant(kind, [float(value)] * kind.count)


def splat(b, scalar, kind: ir.VectorType = VEC):
    """A vector of one number."""
    nothing, lanes = ir.Constant(kind, ir.Undefined), ir.VectorType(I32, kind.count)
    one = b.insert_element(nothing, scalar, ir.Constant(I32, 0))
    return b.shuffle_vector(one, nothing, ir.Constant(lanes, [0] * kind.count))


def integer(value: int) -> ir.Constant:
    """A whole number, known now."""
    return ir.Constant(I64, value)


def mul(b, x, y):
    """x y."""
    return b.fmul(x, y, flags=FAST)


def fma(b, x, y, z):
    """x y + z."""
    return b.fadd(b.fmul(x, y, flags=FAST), z, flags=FAST)


def higher(b, x, y):
    """The higher of two, y where x is NaN."""
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def lower(b, x, y):
    """The lower of two, y where x is NaN."""
    return b.select(b.fcmp_ordered("<", x, y), x, y)


def load(b, pointer):
    """LANES floats from any address."""
    value = b.load(b.bitcast(pointer, VEC.as_pointer()))
    value.align = 4
    return value


def store(b, value, pointer):
    """LANES floats to any address."""
    b.store(value, b.bitcast(pointer, VEC.as_pointer())).align = 4


def lane_sum(b, vector):
    """Pairwise sum of the lanes: the same on every processor."""
    n = LANES
    while n > 1:
        n //= 2
        halves = [picked(b, vector, vector, range(i, i + n)) for i in (0, n)]
        vector = b.fadd(*halves)
    return b.extract_element(vector, ir.Constant(I32, 0))


def picked(b, one, other, lanes):
    """The vector of these lanes of two vectors, one behind the other."""
    lanes = list(lanes)
    return b.shuffle_vector(one, other, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))
