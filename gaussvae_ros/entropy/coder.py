"""Symbols to bytes and back: one call writes, reads or weighs them, so that a
format is stated only once.

A format is a function of a coder. It hands each group of symbols to
`coder.symbols(values, probabilities)` and goes on with what that returns: its own values when it
writes, the stream's when it reads (then `values` is None).
"""

import constriction
import numpy as np

from gaussvae_ros.errors import RecordError

_CATEGORICAL = constriction.stream.model.Categorical(perfect=False)
_UNIFORM = constriction.stream.model.Uniform()


class Writer:
    """Range-codes symbols."""

    reads = False

    def __init__(self):
        self._stream = constriction.stream.queue.RangeEncoder()

    def symbols(self, values, probabilities):
        """`values` [n] int, each in 0..K-1, under its row of `probabilities` [n, K] (any scale)."""
        if len(values):
            self._stream.encode(values.astype(np.int32), _CATEGORICAL, probabilities)
        return values

    def uniform(self, values, sizes):
        """`values` [n] int, each in 0..size-1, all as likely."""
        wide = sizes > 1  # a choice of one costs nothing
        if wide.any():
            self._stream.encode(
                values[wide].astype(np.int32), _UNIFORM, sizes[wide].astype(np.int32)
            )
        return values

    def finish(self) -> bytes:
        """All that was written; trailing zero bytes are left out, a reader takes them as read."""
        return self._stream.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


class Reader:
    """Reads what a Writer wrote.

    A damaged stream gives wrong symbols, but each within its range.
    """

    reads = True

    def __init__(self, data: bytes):
        data += b"\0" * (-len(data) % 4)
        self._stream = constriction.stream.queue.RangeDecoder(
            np.frombuffer(data, "<u4").astype(np.uint32)
        )

    def symbols(self, values, probabilities):
        if not len(probabilities):
            return np.zeros(0, np.int64)
        return self._read(_CATEGORICAL, probabilities)

    def uniform(self, values, sizes):
        out = np.zeros(len(sizes), np.int64)
        wide = sizes > 1
        if wide.any():
            out[wide] = self._read(_UNIFORM, sizes[wide].astype(np.int32))
        return out

    def _read(self, *model):
        try:
            return self._stream.decode(*model).astype(np.int64)
        except (AssertionError, ValueError) as error:
            raise RecordError(f"record is damaged: {error}") from error


class Meter:
    """Weighs symbols: `bits` is what a Writer would need, by the name last set in `part`."""

    reads = False

    def __init__(self):
        self.bits: dict[str, float] = {}
        self.part = ""

    def symbols(self, values, probabilities):
        if len(values):
            p = probabilities[np.arange(len(values)), values] / probabilities.sum(1)
            self._add(-np.log2(p).sum())
        return values

    def uniform(self, values, sizes):
        self._add(np.log2(sizes).sum())
        return values

    def _add(self, bits):
        self.bits[self.part] = self.bits.get(self.part, 0.0) + float(bits)
