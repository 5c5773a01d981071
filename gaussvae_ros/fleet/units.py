"""Work on an archive in units: row groups of its records, each of which decodes by itself.

What is made of a unit lies in one file, named by its first frame, and the file's metadata says of
which version of the records and how. So a unit that was done is not done again, and whoever does
one again makes the same bytes.
"""

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import FleetError, GaussVaeError
from gaussvae_ros.fleet import archive as archives
from gaussvae_ros.fleet.archive import Archive, Manifest, Part
from gaussvae_ros.fleet.schema import chains

NOTE = b"gaussvae"  # the key of what a file's metadata says
FRAME = [("bank", pa.dictionary(pa.int32(), pa.string())), ("id", pa.int64())]  # first columns
LISTED = 100  # frames of a unit that failed, and are named


class Unit(NamedTuple):
    """A row group of the records of a part."""

    robot: str
    bank: str
    part: Part
    group: int
    rows: int

    def path(self, table: str) -> str:
        """Where its part's file of a table is, below the archive's URL."""
        return self.part.path(table, self.robot, self.bank)

    def made(self, table: str, first: int) -> str:
        """Where what is made of it goes: a file of `table`, named by its first frame."""
        return Part(self.part.day, first, 0, 0).path(table, self.robot, self.bank)


class Records(NamedTuple):
    """The records of a unit."""

    unit: Unit
    table: pa.Table  # as schema.RECORDS
    chains: list[tuple[bytes, ...]]  # what decoding each takes

    @property
    def ids(self) -> list[int]:
        """Of the frames."""
        return self.table.column("id").to_pylist()


class Made(NamedTuple):
    """What a job made of a unit."""

    table: pa.Table
    figures: dict  # JSON values
    failed: list[tuple[int, str]]  # id, why


class Job(Protocol):
    """What is done with each unit, anywhere."""

    table: str  # the folder of what it makes, below the URL
    beside: tuple[str, ...]  # those of what else it makes, in files of the same names
    how: dict  # as Archive.write takes it

    def settings(self, unit: Unit) -> dict:
        """What its results depend on besides the records, JSON values."""

    def __call__(
        self, codec: FrameCodec, source: Archive, target: Archive, records: Records
    ) -> Made:
        """Work on a unit. Raises GaussVaeError where nothing can be made of it."""


@dataclass(frozen=True)
class Work:
    """A job on the archive at `source`, whose results go to `target`, URLs both."""

    job: Job
    source: str
    target: str

    def __call__(self, unit: Unit) -> dict:
        """Do a unit that is not done: its `rows`, the `path` of what was made, the job's figures,
        how many `failed`, and `why` (id and reason of the first of them); or the `error` that left
        all of it undone.
        """
        try:
            return {"rows": unit.rows, **self._done(unit)}
        except GaussVaeError as error:
            return {"rows": unit.rows, "error": str(error)}

    def _done(self, unit: Unit) -> dict:
        source, target = opened(self.source), opened(self.target)
        first = source.read_group(unit.path("records"), unit.group, ["id"])["id"][0].as_py()
        path = unit.made(self.job.table, first)
        of = {"version": unit.part.version, "settings": self.job.settings(unit)}
        if (before := note(target, path)) and before["of"] == of:
            return before["made"]
        records = read(source, unit)
        result = self.job(codec_of(self.source), source, target, records)
        made = {"path": path, "rows": len(records.ids), **result.figures}
        made["failed"] = len(result.failed)
        made["why"] = [list(one) for one in result.failed[:LISTED]]
        said = json.dumps({"of": of, "made": made}, sort_keys=True).encode()
        target.write(path, result.table.replace_schema_metadata({NOTE: said}), **self.job.how)
        return made


def units(manifests: Iterable[Manifest]) -> Iterator[Unit]:
    """All of some memories."""
    for manifest in manifests:
        for part in manifest.parts:
            for group, begin in enumerate(range(0, part.rows, archives.GROUP)):
                rows = min(archives.GROUP, part.rows - begin)
                yield Unit(manifest.robot, manifest.bank, part, group, rows)


def read(source: Archive, unit: Unit) -> Records:
    """The records of a unit. Raises FleetError."""
    table = source.read_group(unit.path("records"), unit.group)
    table = table.filter(pc.less_equal(table["id"], unit.part.last))
    if len(table) != unit.rows:
        raise FleetError(
            f"{source.url}/{unit.path('records')}: row group {unit.group} has {len(table)} frames,"
            f" not {unit.rows}: a push changed it meanwhile, or it is damaged"
        )
    try:
        return Records(unit, table, list(chains(table)))
    except KeyError as error:
        raise FleetError(
            f"{source.url}/{unit.path('records')}: it is damaged: frame {error} is not in it"
        ) from error


def table(unit: Unit, rows: list[tuple], columns: pa.Schema) -> pa.Table:
    """Rows of (id, the other columns) about frames of a unit."""
    bank = pa.array([unit.bank] * len(rows), pa.string()).dictionary_encode()
    rest = list(zip(*rows)) or [()] * (len(columns) - 1)
    arrays = [pa.array(values, field.type) for values, field in zip(rest, list(columns)[1:])]
    return pa.Table.from_arrays([bank, *arrays], schema=columns)


@functools.cache
def opened(url: str) -> Archive:
    """The archive at a URL, once in each process."""
    return Archive(url)


@functools.cache
def codec_of(url: str) -> FrameCodec:
    """A codec with the models that an archive carries, once in each process."""
    return FrameCodec(device="cpu", models=[Carried(opened(url))])


class Carried:
    """The models in an archive, as a codec looks for them."""

    def __init__(self, archive: Archive):
        self._archive = archive
        self.path = Path(archive.url)

    def model(self, hash_: bytes) -> bytes | None:
        """A packed model by its hash, None if it is not there."""
        path = f"models/{hash_.hex()}.parquet"
        if not self._archive.paths(path):
            return None
        return self._archive.read(path).column("model")[0].as_py()


def note(target: Archive, path: str) -> dict | None:
    """What a file says of how it was made; None if there is no such file."""
    try:
        metadata = target.read(path, []).schema.metadata or {}
    except FleetError:
        return None
    return json.loads(metadata[NOTE]) if NOTE in metadata else None
