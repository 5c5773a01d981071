"""Frames of all robots, found in the catalogue: the conditions and orders of `MemoryBank`."""

import json
from collections.abc import Sequence

import numpy as np
from psycopg.rows import dict_row

from gaussvae_ros.bank.frame import (
    checked_descriptor,
    checked_int,
    checked_map,
    checked_text,
    name_from_outside,
)
from gaussvae_ros.bank.search.question import Where, check_place, checked_ball, heading
from gaussvae_ros.errors import FleetError
from gaussvae_ros.fleet.catalogue import Catalogue, telling, without_underflow, words_of
from gaussvae_ros.likeness import likeness

FARTHEST = 1e10  # m, where a ball without end ends
CANDIDATES = 4  # times as many as are asked for are looked at by the index of likeness
FEWEST = 800  # that are, at least
MOST = 1000  # that can be
TIES = 20  # frames more than asked for are compared as a memory compares them, without rounding
_COLUMNS = """
    f.robot, f.bank, f.id, f.stamp_ns, f.camera, f.session, f.width, f.height, f.bytes, f.label,
    f.x, f.y, f.z, f.qx, f.qy, f.qz, f.qw, f.reference, f.frame_id, s.map_id, f.needs, f.texts
"""
_SESSIONS = "LEFT JOIN fleet.sessions s USING (robot, bank, session)"
_KEY = "f.robot, f.bank, f.id"
_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")


def conditions(
    *,
    robots: Sequence[str] | None = None,
    after: int | None = None,
    before: int | None = None,
    near: tuple[float, float, float] | None = None,
    radius: float | None = None,
    reference: str | None = None,
    yaw: float | None = None,
    yaw_tolerance: float | None = None,
    camera: str | None = None,
    session: str | int | None = None,
    label: str | None = None,
    map_id: str | None = None,
    text: str | None = None,
) -> Where:
    """The conditions of `MemoryBank.find` on a row `f` of the catalogue's frames, for psycopg.
    `session` is an id, or a name.

    Raises:
        BankError: a condition that means nothing.
    """
    where = Where(("true",))
    if robots:
        where = where.also("f.robot = ANY(%s)", list(robots))
    if after is not None:
        where = where.also("f.stamp_ns >= %s", checked_int("after", after))
    if before is not None:
        where = where.also("f.stamp_ns <= %s", checked_int("before", before))
    if camera is not None:
        where = where.also("f.camera = %s", checked_text("camera", camera))
    if label is not None:
        where = where.also("f.label = %s", checked_text("label", label))
    if session is not None:
        asked = str(session)
        of = "session = %s" if asked.isdecimal() else "name = %s"
        where = where.also(_of_sessions(of), int(asked) if asked.isdecimal() else asked)
    if map_id is not None:
        where = where.also(_of_sessions("map_id = %s"), checked_map(map_id))
    if text is not None:
        where = where.also("f.words @@ %s::tsquery", _query(text))
    check_place(near, radius, reference, yaw, yaw_tolerance)
    if near is not None:
        where = _near(where, near, radius)
    if reference is not None:
        name = name_from_outside("reference", reference)
        where = where.also("f.reference = %s", name)
    if yaw is not None:
        condition, *numbers = heading({name: f"f.{name}" for name in _POSE}, yaw, yaw_tolerance)
        where = where.also(condition.replace("?", "%s"), *map(without_underflow, numbers))
    return where


def find(catalogue: Catalogue, where: Where, limit: int) -> list[dict]:
    """Frames by stamp, then robot, memory and id, as `bank list` has them, at most `limit`."""
    order = f"f.stamp_ns, {_KEY}"
    return _ask(catalogue, _first(where, order), (*where.values, limit), order)


def keys(catalogue: Catalogue, where: Where, limit: int | None) -> list[tuple[str, str, int]]:
    """As `find`, but only the robot, memory and id of each, and all of them without a limit."""
    with telling():
        sql = _first(where, f"f.stamp_ns, {_KEY}")
        return catalogue.db.execute(sql, (*where.values, limit)).fetchall()


def nearest(catalogue: Catalogue, where: Where, stamp_ns: int, limit: int) -> list[dict]:
    """The frames nearest to a stamp, at most `limit`; of two equally near, the earlier first."""
    stamp_ns, found = checked_int("stamp_ns", stamp_ns), []
    for side, way in (("<=", "DESC"), (">", "ASC")):
        some = where.also(f"f.stamp_ns {side} %s", stamp_ns)
        order = f"f.stamp_ns {way}, {_KEY}"
        found += _ask(catalogue, _first(some, order), (*some.values, limit), order)
    key = [(abs(f["stamp_ns"] - stamp_ns), f["stamp_ns"], f["robot"], f["id"]) for f in found]
    return [found[i] for i in sorted(range(len(found)), key=key.__getitem__)[:limit]]


def find_like(
    catalogue: Catalogue, where: Where, descriptor: bytes, limit: int, exact: bool = False
) -> list[dict]:
    """The frames whose descriptors are most like this one, best first, with their `likeness`.

    They are looked for along the index of likeness, which passes over some; `exact` compares all.
    """
    query = np.frombuffer(checked_descriptor(descriptor), np.int8)
    length = len(query)
    asked = str(query.tolist())
    count = min(MOST, max(FEWEST, CANDIDATES * limit))
    like = f"(f.descriptor::halfvec({length}) <=> %s::halfvec({length}))"
    like += " + 0" * exact  # which the index does not know
    some = where.also(f"vector_dims(f.descriptor) = {length}")
    picked = f"SELECT {_KEY} FROM fleet.frames f WHERE {some} ORDER BY {like} LIMIT %s"
    with telling(), catalogue.db.transaction():
        catalogue.db.execute(f"SET LOCAL hnsw.ef_search = {count}")
        catalogue.db.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
        values = (*some.values, asked, limit + TIES)
        found = _ask(catalogue, picked, values, _KEY, ", f.descriptor::text AS look")
    looks = [json.loads(frame.pop("look")) for frame in found]
    scores = likeness(query, np.array(looks, np.int8).reshape(len(found), length))
    for frame, score in zip(found, scores.tolist()):
        frame["likeness"] = score
    return sorted(found, key=lambda f: (-f["likeness"], f["robot"], f["bank"], f["id"]))[:limit]


def descriptor_of(catalogue: Catalogue, name: str) -> bytes:
    """The descriptor of a frame that is named ROBOT/BANK/ID."""
    robot, bank, number = name.split("/")
    sql = "SELECT descriptor::text FROM fleet.frames WHERE (robot, bank, id) = (%s, %s, %s)"
    with telling():
        row = catalogue.db.execute(sql, (robot, bank, int(number))).fetchone()
    if row is None or row[0] is None:
        raise FleetError(
            f"{name} has no descriptor" if row else f"no frame {name} in the catalogue"
        )
    return np.array(json.loads(row[0]), np.int8).tobytes()


def descriptor_length(catalogue: Catalogue) -> int | None:
    """Bytes of a descriptor of the newest frame that has one; None: no frame has any."""
    sql = """
        SELECT vector_dims(descriptor) FROM fleet.frames WHERE descriptor IS NOT NULL
        ORDER BY stamp_ns DESC LIMIT 1
    """
    with telling():
        row = catalogue.db.execute(sql).fetchone()
    return row and row[0]


def _first(where: Where, order: str) -> str:
    """The keys of the first frames that meet conditions. Those that few may meet are looked up on
    their own: to walk along stamps until enough meet them may take hours.
    """
    rare = [c for c in where.conditions if "point(" in c or "tsquery" in c]
    if not rare:
        return f"SELECT {_KEY} FROM fleet.frames f WHERE {where} ORDER BY {order} LIMIT %s"
    return f"""
        WITH f AS MATERIALIZED (SELECT {_KEY}, f.stamp_ns FROM fleet.frames f WHERE {where})
        SELECT {_KEY} FROM f ORDER BY {order} LIMIT %s
    """


def _ask(
    catalogue: Catalogue, picked: str, values: Sequence, order: str, more: str = ""
) -> list[dict]:
    """All of the frames whose keys a query picks."""
    sql = f"""
        WITH picked AS MATERIALIZED ({picked})
        SELECT {_COLUMNS}{more} FROM picked JOIN fleet.frames f USING (robot, bank, id) {_SESSIONS}
        ORDER BY {order}
    """
    with telling(), catalogue.db.cursor(row_factory=dict_row) as cursor:
        return [_facts(row) for row in cursor.execute(sql, values)]


def _facts(row: dict) -> dict:
    pose = [row.pop(name) for name in _POSE]
    size = [row.pop("width"), row.pop("height")]
    texts = row.pop("texts") or []
    facts = {**row, "size": size, "pose": None if pose[0] is None else pose, "texts": texts}
    return {**facts, "map_id": row["map_id"] or None}


def _near(where: Where, near: tuple[float, float, float], radius: float) -> Where:
    near, radius = checked_ball(near, radius)
    x, y, z = map(without_underflow, near)
    radius = without_underflow(radius)
    reach = min(radius * (1 + 1e-9) + 1e-6, FARTHEST)
    corners = (x - reach, y - reach, x + reach, y + reach)
    where = where.also("point(f.x, f.y) <@ box(point(%s, %s), point(%s, %s))", *corners)
    away = " + ".join(f"(f.{axis} - %s) * (f.{axis} - %s)" for axis in "xyz")
    return where.also(f"f.x IS NOT NULL AND {away} <= %s", x, x, y, y, z, z, radius * radius)


def _of_sessions(condition: str) -> str:
    some = f"SELECT robot, bank, session FROM fleet.sessions WHERE {condition}"
    return f"(f.robot, f.bank, f.session) IN ({some})"


def _query(text: str) -> str:
    """Words, all of which are to be there, as PostgreSQL asks for them."""
    asked = []
    for word in checked_text("text", text).split():
        parts = words_of(word)
        asked += [f"'{part}'" for part in parts[:-1]]
        asked += [f"'{part}'" + ":*" * word.endswith("*") for part in parts[-1:]]
    if not asked:
        raise FleetError(f"which words? {text!r} has no letter and no digit")
    return " & ".join(asked)
