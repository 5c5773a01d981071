"""The catalogue of an archive, in PostgreSQL with pgvector: made, brought up to date, filled.

Its schema is in sql/, one file a migration, and `fleet.migrations` lists those that were applied.
The archive is what counts: whatever the catalogue has can be filled in from it again.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources

import psycopg
from psycopg import sql

from gaussvae_ros.bank.bulk import Whole
from gaussvae_ros.bank.file.schema import TALLY
from gaussvae_ros.errors import FleetError
from gaussvae_ros.fleet.archive import Archive, Manifest, Part

COLUMNS = """
    robot bank id day first session camera stamp_ns width height tier bytes frame_id label
    x y z qx qy qz qw reference needs texts words descriptor
""".split()
_KEY = ("robot", "bank", "id")
_LIST = ", ".join(COLUMNS)
_NEWER = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in _KEY)
_SESSION = ("robot", "bank", "session", "name", "start_ns", "map_id", *TALLY)

_STORE = f"""
    INSERT INTO fleet.frames ({_LIST}) SELECT {_LIST} FROM incoming
    ON CONFLICT (robot, bank, id) DO UPDATE SET {_NEWER}
"""
_DROP = """
    DELETE FROM fleet.frames f WHERE robot = %s AND bank = %s AND day = %s AND first = %s
        AND NOT EXISTS (SELECT 1 FROM incoming i WHERE i.id = f.id)
"""
_SET_PART = """
    INSERT INTO fleet.parts VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (robot, bank, day, first) DO UPDATE SET version = excluded.version
"""
_SET_SESSION = f"""
    INSERT INTO fleet.sessions ({", ".join(_SESSION)}) VALUES ({", ".join(["%s"] * len(_SESSION))})
    ON CONFLICT (robot, bank, session) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _SESSION[3:])}
"""


class Catalogue:
    """A connection to a catalogue, named as libpq names databases: `postgresql://...`, or words
    such as "service=fleet"; what is not said there, PGHOST and the like say.

    Raises:
        FleetError: from every method, with one line: it cannot be reached, refuses, or lacks its
            tables.
    """

    def __init__(self, name: str):
        with telling():
            self.db = psycopg.connect(name, autocommit=True)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Catalogue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self.db.close()

    def store(self, manifest: Manifest, part: Part, rows: Sequence[Whole], names: dict) -> None:
        """Let the catalogue have a part as it is in the archive, all or nothing; `names` are those
        of sessions.
        """
        robot, bank = manifest.robot, manifest.bank
        place = (robot, bank, part.day, part.first)
        with telling(), self.db.transaction(), self.db.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE incoming (LIKE fleet.frames) ON COMMIT DROP")
            with cursor.copy(f"COPY incoming ({_LIST}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(_row(robot, bank, part, row, names.get(row.session, "")))
            cursor.execute(_DROP, place)
            cursor.execute(_STORE)
            if rows:
                cursor.execute(_SET_PART, (*place, part.version))
            else:
                mine = "robot = %s AND bank = %s AND day = %s AND first = %s"
                cursor.execute(f"DELETE FROM fleet.parts WHERE {mine}", place)

    def store_sessions(self, robot: str, bank: str, sessions: Sequence[dict]) -> None:
        """Let the catalogue have a memory's sessions."""
        rows = [(robot, bank, *(session[key] for key in _SESSION[2:])) for session in sessions]
        with telling(), self.db.transaction(), self.db.cursor() as cursor:
            cursor.executemany(_SET_SESSION, rows)

    def follow(
        self,
        archive: Archive,
        manifest: Manifest,
        progress: Callable[[int], object] = lambda frames: None,
    ) -> int:
        """Fill in what the archive has of a memory and the catalogue has not, or otherwise. Returns
        how many frames were stored.
        """
        robot, bank = manifest.robot, manifest.bank
        mine = "FROM fleet.parts WHERE robot = %s AND bank = %s"
        with telling():
            rows = self.db.execute(f"SELECT day::text, first, version {mine}", (robot, bank))
            known = {(day, first): version for day, first, version in rows}
        stored, path = 0, f"sessions/robot={robot}/{bank}.parquet"
        sessions = archive.read(path).to_pylist()
        self.store_sessions(robot, bank, sessions)
        names = {session["session"]: session["name"] for session in sessions}
        for part in manifest.parts:
            if known.pop((part.day, part.first), None) != part.version:
                self.store(manifest, part, archive.read_part(robot, bank, part), names)
                stored += part.rows
            progress(part.rows)
        for day, first in known:
            self.store(manifest, Part(day, first, first, 0), [], names)
        return stored

    def _check(self) -> None:
        known = [name for name, _ in migrations()]
        with telling():
            there = self.db.execute("SELECT to_regclass('fleet.migrations')").fetchone()[0]
            if there is None:
                raise FleetError(
                    f"{self.db.info.dbname} is no catalogue yet: gaussvae fleet catalogue makes it"
                )
            rows = self.db.execute("SELECT name FROM fleet.migrations").fetchall()
        applied = [name for (name,) in rows]
        if newer := sorted(set(applied) - set(known)):
            raise FleetError(
                f"{self.db.info.dbname} has {newer[-1]} of a later release: upgrade to use it"
            )
        if set(known) - set(applied):
            raise FleetError(
                f"{self.db.info.dbname} is of an earlier release: gaussvae fleet catalogue brings"
                " it up to date"
            )


def make(name: str, robots: Sequence[str] = (), readers: Sequence[str] = ()) -> list[str]:
    """Make a catalogue in a database, or bring it up to date, and let these roles in, which are
    made where they are not there. Returns the migrations that were applied.

    Raises:
        FleetError: it cannot be reached, or one may not do that there.
    """
    with telling(), psycopg.connect(name) as db:
        db.execute("CREATE SCHEMA IF NOT EXISTS fleet")
        db.execute("""
            CREATE TABLE IF NOT EXISTS fleet.migrations (
                name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now()
            )
        """)
        db.execute("LOCK TABLE fleet.migrations")  # two at a time would both apply them
        there = {name for (name,) in db.execute("SELECT name FROM fleet.migrations").fetchall()}
        applied = []
        for migration, text in migrations():
            if migration not in there:
                db.execute(text)
                db.execute("INSERT INTO fleet.migrations (name) VALUES (%s)", [migration])
                applied.append(migration)
        for group, members in ("gaussvae_robot", robots), ("gaussvae_reader", readers):
            for member in members:
                _let_in(db, member, group)
        return applied


def migrations() -> list[tuple[str, str]]:
    """The schema's migrations in their order: name and SQL."""
    folder = resources.files("gaussvae_ros.fleet") / "sql"
    files = sorted((file for file in folder.iterdir()), key=lambda file: file.name)
    return [(file.name.removesuffix(".sql"), file.read_text()) for file in files]


def words_of(*texts: str | None) -> list[str]:
    """The words of texts as the index has them: runs of letters and digits without case and
    accents.
    """
    plain = unicodedata.normalize("NFKD", " ".join(filter(None, texts)))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", plain.casefold())


def without_underflow(number: float) -> float:
    """A number whose products PostgreSQL does not refuse since they are too near to 0."""
    return number if abs(number) > 1e-60 else 0.0


@contextmanager
def telling() -> Iterator[None]:
    """Turns errors of PostgreSQL into `FleetError`s of one line."""
    try:
        yield
    except psycopg.Error as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise FleetError(f"catalogue: {said}") from error


def _let_in(db: psycopg.Connection, member: str, group: str) -> None:
    name = sql.Identifier(member)
    if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [member]).fetchone():
        db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    db.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), name))


def _row(robot: str, bank: str, part: Part, row: Whole, session: str) -> tuple:
    texts = [text for text, *_ in row.texts]
    words = sorted(set(words_of(*texts, row.label, session)))
    descriptor = row.descriptor and str(list(memoryview(row.descriptor).cast("b")))
    return (
        robot,
        bank,
        row.id,
        part.day,
        part.first,
        row.session,
        _plain(row.camera),
        row.stamp_ns,
        *row.size,
        row.tier,
        len(row.data),
        _plain(row.frame_id) or None,
        _plain(row.label),
        *(map(without_underflow, row.pose[:7]) if row.pose else (None,) * 7),
        _plain(row.pose and row.pose[7]),
        row.reference,
        [_plain(text) for text in texts] or None,
        " ".join(f"'{word}'" for word in words),
        descriptor,
    )


def _plain(text: str | None) -> str | None:
    """A name as PostgreSQL can hold it: without zero bytes, which names of coordinate frames may
    have.
    """
    return text and text.replace("\0", "\ufffd")
