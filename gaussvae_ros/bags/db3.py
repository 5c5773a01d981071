"""The SQLite files of rosbag2 (.db3), whole or not; nothing is ever written beside them."""

import os
import shutil
import sqlite3
import tempfile
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np

from gaussvae_ros.bags.storage import CDR, LATEST_NS, Connection, Message, Say, settled, type_name
from gaussvae_ros.errors import BagError

MAGIC = b"SQLite format 3\x00"
JOURNALS = ("-wal", "-journal")  # what a recorder that was killed leaves beside its file
ROWS = "SELECT rowid, topic_id, timestamp FROM messages WHERE rowid > ? ORDER BY rowid"
FARTHEST = 1 << 40  # rows: how far to look for one that can be read


class Db3File:
    """A .db3 file, see `Storage`. Its journal, if there is one, is applied to a temporary copy.

    Raises:
        BagError: not a rosbag2 file, or damaged where its tables are described.
        OSError: it cannot be opened, or there is no space for a copy.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._name, self._say = path.name, say
        self._copy: tempfile.TemporaryDirectory | None = None
        try:
            self._database = self._open(Path(os.path.realpath(path)))
            self._connections = self._topics()
            counts: Counter[int] = Counter()
            times = array("q", [0])
            for _, topic, time in self._rows():
                counts[topic] += 1
                if time and (times[0] == 0 or time < times[0]):
                    times[0] = time
        except sqlite3.Error as error:
            self.close()
            raise BagError(str(error)) from None
        except BaseException:
            self.close()
            raise
        self.start_ns = times[0]
        for topic in counts.keys() - self._connections.keys():
            say(f"{counts[topic]:,} messages belong to no topic, and are left out")
        self._connections = {
            topic: Connection(name, kind, encoding, counts[topic])
            for topic, (name, kind, encoding) in self._connections.items()
        }
        self.connections = list(self._connections.values())

    def close(self) -> None:
        with suppress(AttributeError):  # it did not open
            self._database.close()
        if self._copy:
            self._copy.cleanup()

    def messages(self, chosen: Collection[Connection]) -> Iterator[Message]:
        wanted = {topic: c for topic, c in self._connections.items() if c in chosen}
        ids, topics, times = array("q"), array("q"), array("q")
        for row, topic, time in self._rows():
            if topic in wanted:
                ids.append(row)
                topics.append(topic)
                times.append(time)
        whole = np.array(settled(times), np.int64)
        if (whole != np.frombuffer(times, np.int64) if len(times) else whole).any():
            self._say("messages without a record time count as recorded with the one before them")
        lost = 0
        for i in np.argsort(whole, kind="stable"):
            try:
                [(data,)] = self._database.execute(
                    "SELECT data FROM messages WHERE rowid = ?", (ids[i],)
                )
            except (sqlite3.Error, ValueError):
                lost += 1
                continue
            yield int(whole[i]), wanted[topics[i]], data if isinstance(data, bytes) else b""
        if lost:
            self._say(f"{lost:,} messages lie on damaged pages, and are left out")

    def _open(self, path: Path) -> sqlite3.Connection:
        if not path.stat().st_size:
            raise BagError(f"{self._name} is empty")
        beside = [Path(f"{path}{ending}") for ending in JOURNALS]
        beside = [file for file in beside if file.is_file() and file.stat().st_size]
        if beside:
            self._copy = tempfile.TemporaryDirectory(prefix="gaussvae_", ignore_cleanup_errors=True)
            for file in (path, *beside):
                shutil.copyfile(file, Path(self._copy.name, "bag" + str(file)[len(str(path)) :]))
            path = Path(self._copy.name, "bag")
        how = "mode=rw" if beside else "mode=ro&immutable=1"
        database = sqlite3.connect(
            f"file://{quote(os.fsencode(path))}?{how}", uri=True, isolation_level=None
        )
        database.text_factory = lambda data: data.decode(errors="replace")
        # SQLite then takes a file that was cut short as far as it goes
        database.execute("PRAGMA writable_schema = ON")
        return database

    def _topics(self) -> dict[int, tuple[str, str, str]]:
        """Name, type and encoding of every topic by its number."""
        cursor = self._database.execute("SELECT * FROM topics")
        names = [column[0] for column in cursor.description]
        found = {}
        try:
            for values in cursor:
                row = dict(zip(names, values))
                encoding = str(row.get("serialization_format") or CDR).lower()
                found[row["id"]] = str(row["name"]), type_name(str(row["type"])), encoding
        except KeyError as error:
            raise BagError(f"its table of topics has no column {error}") from None
        except sqlite3.Error:
            self._say("its table of topics is damaged, and read in part")
        return found

    def _rows(self) -> Iterator[tuple[int, int, int]]:
        """(row, topic, record time ns or 0) of all messages that can be read, by row."""
        last, lost = -1, 0
        while True:
            try:
                for row, topic, time in self._database.execute(ROWS, (last,)):
                    if (
                        not isinstance(row, int) or row <= last
                    ):  # damaged pages may lead in a circle
                        raise sqlite3.DatabaseError("rows out of order")
                    last = row
                    if isinstance(topic, int):
                        usable = isinstance(time, int) and 0 < time < LATEST_NS
                        yield row, topic, time if usable else 0
                break
            except sqlite3.Error as error:
                if "no such" in str(error):
                    raise
                if (after := self._next(last)) is None:
                    damaged = "pages are damaged or missing, and left out"
                    self._say(f"from message {last + 1:,} on its {damaged}")
                    break
                lost, last = lost + after - last, after
        if lost:
            self._say(f"up to {lost:,} messages lie on damaged pages, and are left out")

    def _next(self, row: int) -> int | None:
        """The last row of the damage after a row: those above it can be read; None if none can."""
        low, step = row, 1
        while not self._reads_above(row + step):
            low, step = row + step, 2 * step
            if step > FARTHEST:
                return None
        high = row + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._reads_above(middle) else (middle, high)
        return high

    def _reads_above(self, row: int) -> bool:
        try:
            found = self._database.execute(f"{ROWS} LIMIT 1", (row,)).fetchone()
            return found is not None and isinstance(found[0], int) and found[0] > row
        except sqlite3.Error:
            return False
