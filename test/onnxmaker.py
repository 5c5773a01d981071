"""Tiny ONNX models, written by hand: https://onnx.ai/onnx/repo-docs/IR.html, as protobuf."""

import struct

import numpy as np

FLOAT, STRING = 1, 8  # kinds of elements


def image_model() -> bytes:
    """float32 [1, 3, 8, 8] to [1, 3]: the mean of each channel."""
    over = _attribute("axes", 7, _ints(8, (2, 3))), _attribute("keepdims", 2, _number(3, 0))
    node = _node("ReduceMean", ["image"], ["vector"], *over)
    return _model([node], ("image", FLOAT, (1, 3, 8, 8)), ("vector", FLOAT, (1, 3)))


def text_model(vectors: dict[str, list[float]]) -> bytes:
    """A string [1] to [1, N]: the vector of a word that it knows, else of the first."""
    keys = b"".join(_text(9, word) for word in vectors)
    kind = _attribute("keys_strings", 8, keys)
    numbers = _attribute("values_int64s", 7, _ints(8, range(len(vectors))))
    rest = _attribute("default_int64", 2, _number(3, 0))
    nodes = [
        _node("LabelEncoder", ["text"], ["number"], kind, numbers, rest, domain="ai.onnx.ml"),
        _node("Gather", ["table", "number"], ["vector"]),
    ]
    table = np.array(list(vectors.values()), np.float32)
    held = _ints(1, table.shape) + _number(2, FLOAT) + _text(8, "table")
    held += _bytes(9, table.tobytes())
    ends = ("text", STRING, (1,)), ("vector", FLOAT, (1, table.shape[1]))
    return _model(nodes, *ends, _bytes(5, held))


def _model(nodes: list[bytes], taken: tuple, given: tuple, more: bytes = b"") -> bytes:
    graph = b"".join(_bytes(1, node) for node in nodes) + _text(2, "tiny") + more
    graph += _bytes(11, _value(*taken)) + _bytes(12, _value(*given))
    sets = (("", 13), ("ai.onnx.ml", 2))
    opsets = b"".join(_bytes(8, _text(1, name) + _number(2, version)) for name, version in sets)
    return _number(1, 8) + opsets + _bytes(7, graph)


def _node(kind: str, taken: list[str], given: list[str], *more: bytes, domain: str = "") -> bytes:
    ends = b"".join(_text(1, name) for name in taken) + b"".join(_text(2, name) for name in given)
    attributes = b"".join(_bytes(5, attribute) for attribute in more)
    return ends + _text(4, kind) + attributes + (_text(7, domain) if domain else b"")


def _attribute(name: str, kind: int, value: bytes) -> bytes:
    return _text(1, name) + value + _number(20, kind)


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


def _ints(field: int, values) -> bytes:
    return b"".join(_number(field, value) for value in values)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value >= 128:
        out += struct.pack("B", value & 127 | 128)
        value >>= 7
    return out + struct.pack("B", value)
