"""The columns of an archive's Parquet files, and frames as their rows; docs/fleet.md describes
every column.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from gaussvae_ros.bank.bulk import Whole

_NUMBERS = ("x", "y", "z", "qx", "qy", "qz", "qw")
_POSE = [(name, pa.float64()) for name in _NUMBERS] + [("reference", pa.string())]
_TEXT = [("text", pa.string()), *((side, pa.int32()) for side in "xywh")]
_TEXT += [("confidence", pa.float64())]
_VECTOR = [("encoder", pa.string()), ("vector", pa.binary())]
_NAME = pa.dictionary(pa.int32(), pa.string())

FRAMES = pa.schema(
    [
        ("bank", _NAME),
        ("id", pa.int64()),
        ("stamp_ns", pa.int64()),
        ("camera", _NAME),
        ("session", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("tier", _NAME),
        ("bytes", pa.int32()),
        ("frame_id", _NAME),
        ("label", _NAME),
        *_POSE[:-1],
        ("reference", _NAME),
        ("original_pose", pa.struct(_POSE)),
        ("texts", pa.list_(pa.struct(_TEXT))),
        ("vectors", pa.list_(pa.struct(_VECTOR))),
    ]
)
RECORDS = pa.schema(
    [
        ("bank", _NAME),
        ("id", pa.int64()),
        ("needs", pa.int64()),
        ("needed", pa.list_(pa.binary())),
        ("record", pa.binary()),
        ("descriptor", pa.binary()),
    ]
)
_CAMERA = [("camera", pa.string()), ("frame_id", pa.string()), ("calibration", pa.string())]
SESSIONS = pa.schema(
    [
        ("bank", pa.string()),
        ("session", pa.int64()),
        ("name", pa.string()),
        ("start_ns", pa.int64()),
        ("map_id", pa.string()),
        ("received", pa.int64()),
        ("gated", pa.int64()),
        ("dropped", pa.int64()),
        ("poses_missing", pa.int64()),
        ("cameras", pa.list_(pa.struct(_CAMERA))),
    ]
)
MODELS = pa.schema([("hash", pa.binary()), ("name", pa.string()), ("model", pa.binary())])

# How columns are written: numbers by what changes from one to the next, or byte by byte.
_NAMES = [name for name in FRAMES.names if FRAMES.field(name).type == _NAME]
FRAMES_HOW = {
    "use_dictionary": _NAMES,
    "column_encoding": {
        "id": "DELTA_BINARY_PACKED",
        "stamp_ns": "DELTA_BINARY_PACKED",
        "session": "DELTA_BINARY_PACKED",
        "bytes": "DELTA_BINARY_PACKED",
        **dict.fromkeys(_NUMBERS, "BYTE_STREAM_SPLIT"),
    },
    "compression": "zstd",
    "compression_level": 1,
}
RECORDS_HOW = {
    "use_dictionary": ["bank"],
    "column_encoding": {
        "id": "DELTA_BINARY_PACKED",
        "needs": "DELTA_BINARY_PACKED",
        "record": "DELTA_LENGTH_BYTE_ARRAY",
        "descriptor": "DELTA_LENGTH_BYTE_ARRAY",
    },
    "write_statistics": ["id"],
    # Records are entropy-coded: nothing makes them smaller.
    "compression": dict.fromkeys(("bank", "id", "needs"), "zstd"),
}


def frames_table(bank: str, rows: Sequence[Whole]) -> pa.Table:
    """All of frames but their records."""
    poses = [row.pose or (None,) * len(_POSE) for row in rows]
    columns = [
        [bank] * len(rows),
        [row.id for row in rows],
        [row.stamp_ns for row in rows],
        [row.camera for row in rows],
        [row.session for row in rows],
        [row.size[0] for row in rows],
        [row.size[1] for row in rows],
        [row.tier for row in rows],
        [len(row.data) for row in rows],
        [row.frame_id or None for row in rows],
        [row.label for row in rows],
        *zip(*poses),
        [None if row.original is None else _named(_POSE, row.original) for row in rows],
        [[_named(_TEXT, text) for text in row.texts] or None for row in rows],
        [[_named(_VECTOR, vector) for vector in row.vectors] or None for row in rows],
    ]
    return _table(columns, FRAMES)


def records_table(bank: str, rows: Sequence[Whole], group: int) -> pa.Table:
    """The records of frames, so that each `group` of rows decodes by itself, see `chains`."""
    needed = []
    for begin in range(0, len(rows), group):
        known: dict[int | None, tuple[bytes, ...]] = {None: ()}
        for row in rows[begin : begin + group]:
            # A frame may have another record here than the one that was needed.
            there = known.get(row.reference) == row.needed
            needed.append(None if there else list(row.needed))
            known[row.reference] = row.needed
            known[row.id] = *row.needed, row.data
    columns = [
        [bank] * len(rows),
        [row.id for row in rows],
        [row.reference for row in rows],
        needed,
        [row.data for row in rows],
        [row.descriptor for row in rows],
    ]
    return _table(columns, RECORDS)


def chains(records: pa.Table | pa.RecordBatch) -> Iterator[tuple[bytes, ...]]:
    """What decoding each row of a row group takes: the records that it needs, each before those
    that need it, its own last.
    """
    known: dict[int, tuple[bytes, ...]] = {}
    columns = (records.column(name).to_pylist() for name in ("id", "needs", "needed", "record"))
    for number, reference, needed, record in zip(*columns):
        if needed is not None:
            known[reference] = tuple(needed)
        before = () if reference is None else known[reference]
        known[number] = (*before, record)
        yield known[number]


def rows_of(frames: pa.Table, records: pa.Table, group: int) -> list[Whole]:
    """The frames that the tables of one part have both."""
    by_id = {}
    of_records = (records.column(name).to_pylist() for name in ("id", "needs", "descriptor"))
    groups = (records.slice(begin, group) for begin in range(0, len(records), group))
    found = (chain for some in groups for chain in chains(some))
    for number, reference, descriptor, chain in zip(*of_records, found):
        by_id[number] = reference, chain[:-1], chain[-1], descriptor
    columns = [frames.column(name).to_pylist() for name in FRAMES.names[1:]]
    rows = []
    for number, stamp, camera, session, width, height, tier, _, frame_id, label, *rest in zip(
        *columns
    ):
        pose, (original, texts, vectors) = tuple(rest[:8]), rest[8:]
        if number in by_id:
            rows.append(
                Whole(
                    number,
                    stamp,
                    camera,
                    session,
                    (width, height),
                    tier,
                    frame_id or "",
                    label,
                    None if pose[0] is None else pose,
                    original and tuple(original.values()),
                    [tuple(text.values()) for text in texts or ()],
                    [tuple(vector.values()) for vector in vectors or ()],
                    *by_id[number],
                )
            )
    return rows


def _table(columns: Sequence[Sequence], schema: pa.Schema) -> pa.Table:
    arrays = []
    for values, field in zip(columns, schema):
        plain = pa.types.is_dictionary(field.type)
        array = pa.array(values, field.type.value_type if plain else field.type)
        arrays.append(array.dictionary_encode() if plain else array)
    return pa.Table.from_arrays(arrays, schema=schema)


def _named(fields: list[tuple[str, pa.DataType]], values: tuple) -> dict:
    return dict(zip((name for name, _ in fields), values))
