"""The archive of a fleet: what its robots remember, as Parquet files at any URL that fsspec knows.

    frames/robot=NAME/day=YYYY-MM-DD/BANK-FIRST.parquet    all of a frame but its record
    records/robot=NAME/day=YYYY-MM-DD/BANK-FIRST.parquet   the records of the same frames
    sessions/robot=NAME/BANK.parquet
    models/HASH.parquet
    banks/robot=NAME/BANK.json                             what of a memory is there: `Manifest`
    partial/                                               what is being written: to be ignored

BANK names a memory file whatever it is called, FIRST is the lowest id in the file, days are those
of stamps, in UTC. Frames lie in the order of their ids. In `records`, each row group decodes by
itself: `needed` has the records that one needs and no earlier row of its row group had.

A file is written under `partial/` and moved to its place whole, and a manifest after the files that
it names; so a reader never sees half a file, and what no manifest names is not there yet.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from gaussvae_ros.bank.bulk import Whole
from gaussvae_ros.errors import FleetError
from gaussvae_ros.files import PRIVATE, make_file, make_folder
from gaussvae_ros.fleet import schema

FORMAT = 1
GROUP = 10_000  # rows of a row group
DAY_NS = 86_400 * 10**9
BLOCK = 2**16  # bytes that are sent at once


@dataclass
class Part:
    """The frames of a memory of one day, from the id `first` to `last`: a file of `frames` and one
    of `records`.
    """

    day: str
    first: int
    last: int
    rows: int
    record_bytes: int = 0
    version: str = ""  # another one whenever it is written

    def path(self, table: str, robot: str, bank: str) -> str:
        """Where its file of a table is, below the archive's URL."""
        return f"{table}/robot={robot}/day={self.day}/{bank}-{self.first:012d}.parquet"


@dataclass
class Manifest:
    """What of a robot's memory is in the archive."""

    robot: str
    bank: str
    source: str = ""  # the name of the memory file, for people
    last: int = 0  # the highest id that was looked at
    format: int = FORMAT
    parts: list[Part] = field(default_factory=list)
    models: list[str] = field(default_factory=list)  # hashes of those that it carries
    sessions: str = ""  # digest
    pieces: dict[str, list[str]] = field(default_factory=dict)  # digests, by id / bulk.PIECE
    state: list[int] = field(default_factory=list)  # of the file when all of it was sent

    @property
    def path(self) -> str:
        """Where it is, below the archive's URL."""
        return f"banks/robot={self.robot}/{self.bank}.json"

    @property
    def rows(self) -> int:
        """Frames."""
        return sum(part.rows for part in self.parts)


class Archive:
    """An archive at a URL: a folder, or what fsspec has a package for (s3://, gs://, sftp://).

    `pause` is called with the number of bytes before they are sent. `file_mode` is that of files in
    a folder of this machine.

    Raises:
        FleetError: from every method, with one line: the place cannot be reached, read or written.
    """

    def __init__(
        self,
        url: str,
        pause: Callable[[int], None] = lambda count: None,
        file_mode: int = PRIVATE,
    ):
        self.url, self._pause, self._mode = str(url), pause, file_mode
        with self._telling():
            self.fs, self.root = fsspec.core.url_to_fs(self.url)
        self._local = "file" in (self.fs.protocol, *self.fs.protocol)
        self.root = self.root.rstrip("/")

    # Files

    def read(self, path: str, columns: Sequence[str] | None = None, **how) -> pa.Table:
        """A Parquet file below the URL; pages that do not match their checksum are an error."""
        with self._telling(path):
            with self.fs.open(f"{self.root}/{path}", "rb") as file:
                read = pq.ParquetFile(file, page_checksum_verification=True, **how)
                return read.read(columns)

    def read_group(self, path: str, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One row group of a Parquet file."""
        with self._telling(path):
            with self.fs.open(f"{self.root}/{path}", "rb") as file:
                read = pq.ParquetFile(file, page_checksum_verification=True)
                return read.read_row_group(group, columns)

    def write(self, path: str, table: pa.Table, **how) -> int:
        """Write a Parquet file, whole or not at all, in the place of one that is there. Returns its
        bytes.
        """
        file = BytesIO()
        pq.write_table(table, file, row_group_size=GROUP, write_page_checksum=True, **how)
        self.publish(path, file.getbuffer())
        return file.tell()

    def publish(self, path: str, data: bytes | memoryview) -> None:
        """Write a file, whole or not at all, in the place of one that is there."""
        place, draft = f"{self.root}/{path}", f"{self.root}/partial/{path}.{secrets.token_hex(4)}"
        with self._telling(path):
            if self._local:  # what robots saw is nobody else's
                for file in (draft, place):
                    make_folder(Path(file).parent, self._mode)
                make_file(Path(draft), self._mode)
            try:
                with self.fs.open(draft, "wb") as file:
                    for begin in range(0, len(data), BLOCK):
                        block = data[begin : begin + BLOCK]
                        self._pause(len(block))
                        file.write(block)
                if self._local:
                    Path(draft).replace(place)
                else:
                    self.fs.mv(draft, place)
            except BaseException:
                self._drop(draft)
                raise

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is no error."""
        with self._telling(path):
            try:
                self.fs.rm_file(f"{self.root}/{path}")
            except FileNotFoundError:
                pass

    def paths(self, below: str) -> list[str]:
        """The files below a folder, by name."""
        with self._telling(below):
            self.fs.invalidate_cache()
            found = self.fs.find(f"{self.root}/{below}")
        cut = len(self.root) + 1
        return sorted(path[cut:] for path in found)

    # Memories

    def manifests(self, robots: Iterable[str] | None = None) -> list[Manifest]:
        """Of all memories, or of those of some robots."""
        folders = ["banks"] if robots is None else [f"banks/robot={robot}" for robot in robots]
        paths = (path for folder in folders for path in self.paths(folder))
        return [self._manifest(path) for path in paths if path.endswith(".json")]

    def manifest(self, robot: str, bank: str) -> Manifest:
        """Of a memory, empty if nothing of it is there."""
        empty = Manifest(robot, bank)
        there = empty.path in self.paths(f"banks/robot={robot}")
        return self._manifest(empty.path) if there else empty

    def publish_manifest(self, manifest: Manifest) -> None:
        """From now on the archive has what it says."""
        self.publish(manifest.path, json.dumps(asdict(manifest)).encode())

    def write_part(
        self, robot: str, bank: str, day: str, rows: Sequence[Whole], first: int | None = None
    ) -> Part:
        """Write frames of one day, by their ids, some ten thousand: both files, in the place of
        those whose `first` id that is.
        """
        size = sum(len(row.data) for row in rows)
        first = rows[0].id if first is None else first
        part = Part(day, first, rows[-1].id, len(rows), size, secrets.token_hex(4))
        records = schema.records_table(bank, rows, GROUP)
        self.write(part.path("records", robot, bank), records, **schema.RECORDS_HOW)
        self.write(
            part.path("frames", robot, bank), schema.frames_table(bank, rows), **schema.FRAMES_HOW
        )
        return part

    def read_part(self, robot: str, bank: str, part: Part) -> list[Whole]:
        """Its frames with their records; the files may have more that no manifest names yet."""
        tables = (self.read(part.path(table, robot, bank)) for table in ("frames", "records"))
        return [row for row in schema.rows_of(*tables, GROUP) if row.id <= part.last]

    def groups(self, robots: Iterable[str] | None = None) -> Iterator[tuple[str, int, int]]:
        """All that decodes by itself: path of a file of `records`, number of a row group, rows."""
        for manifest in self.manifests(robots):
            for part in manifest.parts:
                path = part.path("records", manifest.robot, manifest.bank)
                for group, begin in enumerate(range(0, part.rows, GROUP)):
                    yield path, group, min(GROUP, part.rows - begin)

    # Inside

    def _manifest(self, path: str) -> Manifest:
        with self._telling(path):
            known = json.loads(self.fs.cat_file(f"{self.root}/{path}"))
            if known["format"] != FORMAT:
                raise FleetError(
                    f"{self.url}/{path} has format {known['format']}, this release knows {FORMAT}:"
                    " upgrade to read it"
                )
            known["parts"] = [Part(**part) for part in known["parts"]]
            return Manifest(**known)

    def _drop(self, draft: str) -> None:
        try:
            self.fs.rm_file(draft)
        except Exception:  # the link is down, or it was never there: the next push cleans up
            pass

    def _telling(self, path: str = "") -> "_Telling":
        return _Telling(f"{self.url}/{path}" if path else self.url)


class _Telling:
    """Turns whatever a file system of fsspec raises into a `FleetError`: each has errors of its
    own.
    """

    def __init__(self, place: str):
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, FleetError):
            said = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, ImportError):
                said = f"fsspec needs a package for it: {said}"
            elif isinstance(error, (KeyError, TypeError)):
                said = f"it is damaged: {said}"
            raise FleetError(f"{self._place}: {said}") from error


def day_of(stamp_ns: int) -> str:
    """The day of a stamp in UTC, YYYY-MM-DD."""
    return _day(stamp_ns // DAY_NS)


@cache
def _day(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(day)).isoformat()


class Rate:
    """Lets at most so many bytes a second pass, by a clock and a way to wait, both in s."""

    def __init__(
        self,
        bytes_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ):
        self._rate, self._clock, self._sleep = bytes_per_s, clock, sleep
        self._at = clock()

    def __call__(self, count: int) -> None:
        """Wait until so many more may pass."""
        now = self._clock()
        self._at = max(self._at, now) + count / self._rate
        self._sleep(self._at - now)
