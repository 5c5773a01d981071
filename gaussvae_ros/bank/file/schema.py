"""The tables of a memory file, and how an older one is brought up to date.

Frames and their records are appended; what changes often (pose, label) has tables of its own, so
that a late pose does not rewrite a record. Records and descriptors stand apart, so that looking
through many frames' facts or descriptors touches few pages. Where a record needs that of another
frame, its frame's row says which; triggers keep a record that others need when its frame is
deleted, until the last of them is. The R*Tree holds 32-bit bounds that always contain the point,
the exact pose stands in `poses`. A camera's frame and calibration are kept once per session.

A correction of many poses is written to `moved_poses` piece by piece, where nobody looks until
`correction.valid` says so, which holds for all of them at once; see corrections.py.
"""

from pathlib import Path
from weakref import WeakSet

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gaussvae_ros.bank import volumes
from gaussvae_ros.bank.likeness import vectors
from gaussvae_ros.bank.search import runs, stamps, texts
from gaussvae_ros.errors import BankError

TALLY = ("received", "gated", "dropped", "poses_missing")  # what a session counts beside its frames
VERSION = "0.1.0"  # of this package, that files of this schema need
POSE = ("x", "y", "z", "qx", "qy", "qz", "qw", "reference")  # columns
_BEFORE = "", {column: f"p.{column}" for column in POSE}
_NOW = (
    "LEFT JOIN moved_poses m ON m.frame = p.frame AND (SELECT valid FROM correction)",
    {column: f"coalesce(m.{column}, p.{column})" for column in POSE},
)
_corrected: WeakSet[Database] = WeakSet()  # connections whose file has those tables

migrations = Migrations("gaussvae_ros.bank")


@migrations()
def m001_frames(db: Database):
    db.executescript("""
        CREATE TABLE sessions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            start_ns INTEGER NOT NULL
        );
        CREATE TABLE frames (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            stamp_ns INTEGER NOT NULL,
            camera TEXT NOT NULL,
            session INTEGER NOT NULL REFERENCES sessions(id),
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            tier TEXT NOT NULL,
            checksum INTEGER NOT NULL
        );
        CREATE TABLE records (
            frame INTEGER PRIMARY KEY REFERENCES frames(id) ON DELETE CASCADE,
            record BLOB NOT NULL
        );
        CREATE INDEX frames_by_stamp ON frames(stamp_ns);
        CREATE INDEX frames_by_camera ON frames(camera, stamp_ns);
        CREATE INDEX frames_by_session ON frames(session, stamp_ns);

        CREATE TABLE labels (
            frame INTEGER PRIMARY KEY REFERENCES frames(id) ON DELETE CASCADE,
            label TEXT NOT NULL
        );
        CREATE INDEX labels_by_label ON labels(label);

        CREATE TABLE poses (
            frame INTEGER PRIMARY KEY REFERENCES frames(id) ON DELETE CASCADE,
            x REAL NOT NULL, y REAL NOT NULL, z REAL NOT NULL,
            qx REAL NOT NULL, qy REAL NOT NULL, qz REAL NOT NULL, qw REAL NOT NULL,
            reference TEXT NOT NULL
        );
        CREATE VIRTUAL TABLE pose_index
            USING rtree(frame, min_x, max_x, min_y, max_y, min_z, max_z);
        CREATE TRIGGER poses_insert AFTER INSERT ON poses BEGIN
            INSERT INTO pose_index VALUES (new.frame, new.x, new.x, new.y, new.y, new.z, new.z);
        END;
        CREATE TRIGGER poses_update AFTER UPDATE ON poses BEGIN
            UPDATE pose_index SET min_x = new.x, max_x = new.x, min_y = new.y, max_y = new.y,
                                  min_z = new.z, max_z = new.z WHERE frame = new.frame;
        END;
        CREATE TRIGGER poses_delete AFTER DELETE ON poses BEGIN
            DELETE FROM pose_index WHERE frame = old.frame;
        END;
    """)


@migrations()
def m002_likeness(db: Database):
    # One statement each: a script would commit halfway.
    db.execute("""
        CREATE TABLE descriptors (
            frame INTEGER PRIMARY KEY REFERENCES frames(id) ON DELETE CASCADE,
            checksum INTEGER NOT NULL,
            descriptor BLOB NOT NULL
        )
    """)
    db.execute("""
        CREATE TABLE cameras (
            session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
            camera TEXT NOT NULL,
            frame_id TEXT NOT NULL DEFAULT '',
            calibration TEXT,
            PRIMARY KEY (session, camera)
        ) WITHOUT ROWID
    """)
    for count in TALLY:
        db.execute(f"ALTER TABLE sessions ADD COLUMN {count} INTEGER NOT NULL DEFAULT 0")


@migrations()
def m003_models(db: Database):
    db.execute("""
        CREATE TABLE models (
            hash BLOB PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            checksum INTEGER NOT NULL,
            model BLOB NOT NULL
        )
    """)


@migrations()
def m004_corrections(db: Database):
    for table in ("original_poses", "moved_poses"):
        db.execute(f"""
            CREATE TABLE {table} (
                frame INTEGER PRIMARY KEY REFERENCES frames(id) ON DELETE CASCADE,
                x REAL NOT NULL, y REAL NOT NULL, z REAL NOT NULL,
                qx REAL NOT NULL, qy REAL NOT NULL, qz REAL NOT NULL, qw REAL NOT NULL,
                reference TEXT NOT NULL
            )
        """)
    db.execute("CREATE TABLE correction (valid INTEGER NOT NULL)")
    db.execute("INSERT INTO correction VALUES (0)")
    old, new = (", ".join(f"{row}.{column}" for column in POSE) for row in ("old", "new"))
    db.execute("DROP TRIGGER poses_update")
    db.execute(f"""
        CREATE TRIGGER poses_update AFTER UPDATE ON poses BEGIN
            INSERT INTO original_poses SELECT old.frame, {old} WHERE ({old}) IS NOT ({new})
                AND NOT EXISTS (SELECT 1 FROM original_poses WHERE frame = old.frame);
            UPDATE pose_index SET min_x = new.x, max_x = new.x, min_y = new.y, max_y = new.y,
                                  min_z = new.z, max_z = new.z WHERE frame = new.frame;
            DELETE FROM moved_poses WHERE frame = new.frame;
        END
    """)
    # Both the old and the new place are in the box, so that either is found.
    db.execute("""
        CREATE TRIGGER moved_poses_insert AFTER INSERT ON moved_poses BEGIN
            UPDATE pose_index SET min_x = min(min_x, new.x), max_x = max(max_x, new.x),
                                  min_y = min(min_y, new.y), max_y = max(max_y, new.y),
                                  min_z = min(min_z, new.z), max_z = max(max_z, new.z)
                WHERE frame = new.frame;
        END
    """)


@migrations()
def m005_maps(db: Database):
    db.execute("ALTER TABLE sessions ADD COLUMN map_id TEXT NOT NULL DEFAULT ''")


# Deletes what is kept of a frame if nobody needs it any more.
_RELEASE = """
    DELETE FROM kept WHERE frame = old.reference
        AND NOT EXISTS (SELECT 1 FROM frames WHERE reference = old.reference)
        AND NOT EXISTS (SELECT 1 FROM kept WHERE reference = old.reference);
"""


@migrations()
def m006_references(db: Database):
    db.execute("ALTER TABLE frames ADD COLUMN reference INTEGER")
    db.execute("""
        CREATE TABLE kept (frame INTEGER PRIMARY KEY, reference INTEGER, record BLOB NOT NULL)
    """)
    for table in ("frames", "kept"):
        db.execute(f"""
            CREATE INDEX {table}_by_reference ON {table}(reference) WHERE reference IS NOT NULL
        """)
        db.execute(f"""
            CREATE TRIGGER {table}_delete AFTER DELETE ON {table} WHEN old.reference IS NOT NULL
            BEGIN {_RELEASE} END
        """)
    db.execute(f"""
        CREATE TRIGGER frames_update AFTER UPDATE OF reference ON frames
        WHEN old.reference IS NOT NULL AND new.reference IS NOT old.reference
        BEGIN {_RELEASE} END
    """)
    db.execute("""
        CREATE TRIGGER frames_keep BEFORE DELETE ON frames
        WHEN EXISTS (SELECT 1 FROM frames WHERE reference = old.id)
            OR EXISTS (SELECT 1 FROM kept WHERE reference = old.id)
        BEGIN
            INSERT OR REPLACE INTO kept
                SELECT old.id, old.reference, record FROM records WHERE frame = old.id;
        END
    """)


@migrations()
def m008_runs(db: Database):
    db.execute("CREATE TABLE needs (only INTEGER PRIMARY KEY, version TEXT NOT NULL)")
    runs.create(db, POSE)
    # So that nobody reads all poses to know the few coordinate frames that they are in.
    db.execute("CREATE TABLE pose_references (name TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID")
    db.execute("""
        INSERT INTO pose_references
            SELECT reference FROM poses UNION SELECT reference FROM moved_poses
    """)
    for table, event in (("poses", "INSERT"), ("poses", "UPDATE"), ("moved_poses", "INSERT")):
        db.execute(f"""
            CREATE TRIGGER {table}_{event.lower()}_reference AFTER {event} ON {table}
            WHEN NOT EXISTS (SELECT 1 FROM pose_references WHERE name = new.reference)
            BEGIN INSERT INTO pose_references VALUES (new.reference); END
        """)


@migrations()
def m009_text(db: Database):
    texts.create(db)
    vectors.create(db)


@migrations()
def m012_stamps(db: Database):
    stamps.create(db)


@migrations()
def m011_volumes(db: Database):
    volumes.create(db)


@migrations()
def m013_packed(db: Database):
    """Earlier releases take packed descriptors, see likeness/packing.py, for damaged ones."""


# What those add is asked for only where there is some of it.
NOT_FOR_READERS = ("m004_corrections", "m005_maps", "m006_references", "m008_runs", "m009_text")
NOT_FOR_READERS += ("m011_volumes", "m012_stamps", "m013_packed")


def schema_version(db: Database) -> int:
    """How many migrations the file has seen."""
    return len(migrations.applied(db))


def too_old(db: Database) -> bool:
    """Whether a reader would ask for what the file does not have yet."""
    return any(migration.name not in NOT_FOR_READERS for migration in migrations.pending(db))


def has_references(db: Database) -> bool:
    """Whether the file can hold predicted records."""
    return _has(db, "kept")


def has_corrections(db: Database) -> bool:
    """Whether the file can hold corrected poses, and the maps of its sessions."""
    if db not in _corrected and _has(db, "moved_poses"):
        _corrected.add(db)
    return db in _corrected


def placed(db: Database) -> tuple[str, dict[str, str]]:
    """What to join to a row `p` of `poses`, and each column of where its frame is now: as of the
    moment of the call, so that an answer of several frames takes a transaction."""
    if not has_corrections(db):
        return _BEFORE
    valid = db.execute("SELECT max(valid) FROM correction").fetchone()[0]
    return _NOW if valid else _BEFORE  # the join would take as long as all the rest


def _has(db: Database, table: str) -> bool:
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone())


def migrate(db: Database):
    """Bring a file up to date, and let it say which version it needs from now on."""
    migrations.apply(db)
    db.execute("INSERT OR REPLACE INTO needs VALUES (1, ?)", [VERSION])


def refuse_newer(db: Database, path: Path):
    """Raise a BankError, with the version that the file needs, if that is a later one."""
    with Database(memory=True, execute_plugins=False) as empty:
        known = {migration.name for migration in migrations.pending(empty)}
    if any(migration.name not in known for migration in migrations.applied(db)):
        version = None
        if _has(db, "needs"):
            version = db.execute("SELECT version FROM needs").fetchone()[0]
        raise BankError(
            f"{path} needs gaussvae_ros {version or 'of a later version'}, this is {VERSION}:"
            " upgrade to open it"
        )
