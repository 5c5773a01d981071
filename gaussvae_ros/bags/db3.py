"""The SQLite files of rosbag2 (.db3), whole or not; nothing is ever written beside them."""

import os
import shutil
import sqlite3
import tempfile
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np

from gaussvae_ros.bags.db3_pages import Cell, Pages
from gaussvae_ros.bags.raw import RawFile
from gaussvae_ros.bags.storage import CDR, LATEST_NS, Connection, Message, Say, settled, type_name
from gaussvae_ros.errors import BagError
from gaussvae_ros.files import SQLITE

MAGIC = SQLITE
# what a recorder that was killed leaves beside its file, and how that begins if it is to be applied
JOURNALS = {"-wal": b"\x37\x7f\x06", "-journal": b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"}
ROWS = "SELECT rowid, topic_id, timestamp FROM messages WHERE rowid > ? ORDER BY rowid"
LAST_ROW, NO_TOPIC = 1 << 63, -1
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
        self._open: sqlite3.Connection | None = None
        self._pages: Pages | None = None  # where others that lead to them are damaged
        self._rescued: dict[int, Cell] = {}  # messages on them by row
        try:
            self._address = self._find(Path(os.path.realpath(path)))
            self._connections = self._topics()
            counts: Counter[int] = Counter()
            self.start_ns = 0
            for _, topic, time in self._rows():
                counts[topic] += 1
                if time and not 0 < self.start_ns <= time:
                    self.start_ns = time
        except sqlite3.Error as error:
            self.close()
            raise BagError(str(error)) from None
        except UnicodeDecodeError:  # of the names of tables and columns
            self.close()
            raise BagError("the names in it are no text") from None
        except BaseException:
            self.close()
            raise
        for topic in counts.keys() - self._connections.keys():
            say(f"{counts[topic]:,} messages belong to no topic, and are left out")
        self._connections = {
            topic: Connection(name, kind, encoding, counts[topic])
            for topic, (name, kind, encoding) in self._connections.items()
        }
        self.connections = list(self._connections.values())

    def rest(self) -> None:
        if self._open:
            self._open.close()
            self._open = None
        if self._pages:
            self._pages.close()

    def close(self) -> None:
        self.rest()
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
                [(data,)] = self._query("SELECT data FROM messages WHERE rowid = ?", (ids[i],))
            except (sqlite3.Error, ValueError):
                data = self._rescue(ids[i])
            if data is None:
                lost += 1
                continue
            yield int(whole[i]), wanted[topics[i]], data if isinstance(data, bytes) else b""
        if lost:
            self._say(f"{lost:,} messages lie on damaged pages, and are left out")

    def _find(self, path: Path) -> str:
        """What SQLite is to open: the file, or a copy if a journal is to be applied to it."""
        beside = [Path(f"{path}{ending}") for ending in JOURNALS if _is_hot(path, ending)]
        if beside:
            self._copy = tempfile.TemporaryDirectory(prefix="gaussvae_", ignore_cleanup_errors=True)
            copy = Path(self._copy.name, "bag")
            try:
                for file in (path, *beside):
                    shutil.copyfile(file, f"{copy}{str(file)[len(str(path)) :]}")
            except OSError as error:
                what = "its journal, left by a recorder that was killed, is applied to a copy"
                raise BagError(f"{what}, and {copy.parent} takes none: {error.strerror}") from None
            path = copy
        elif not path.stat().st_size:
            raise BagError(f"{self._name} is empty")
        if any(file.name.endswith("-journal") for file in beside):
            self._say("its recorder was ended in the middle of a write, which is left out")
        self._path = path
        how = "mode=rw" if beside else "mode=ro&immutable=1"
        return f"file://{quote(os.fsencode(path))}?{how}"

    def _query(self, text: str, values: tuple = ()) -> sqlite3.Cursor:
        if self._open is None:
            self._open = sqlite3.connect(self._address, uri=True, isolation_level=None)
            self._open.text_factory = lambda data: data.decode(errors="replace")
            # SQLite then takes a file that was cut short as far as it goes
            self._open.execute("PRAGMA writable_schema = ON")
        return self._open.execute(text, values)

    def _topics(self) -> dict[int, tuple[str, str, str]]:
        """Name, type and encoding of every topic by its number."""
        cursor = self._query("SELECT * FROM topics")
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
        """(row, topic, record time ns or 0) of all messages, by row, rescued ones last."""
        last, gaps = -1, []
        while True:
            try:
                for row, topic, time in self._query(ROWS, (last,)):
                    if (
                        not isinstance(row, int) or row <= last
                    ):  # damaged pages may lead in a circle
                        raise sqlite3.DatabaseError("rows out of order")
                    last = row
                    yield row, topic if isinstance(topic, int) else NO_TOPIC, _usable(time)
                break
            except sqlite3.Error as error:
                if "no such" in str(error):
                    raise
                after = self._next(last)
                gaps.append(range(last + 1, LAST_ROW if after is None else after + 1))
                if after is None:
                    break
                last = after
        if not gaps:
            return
        if self._pages is None:
            self._pages = Pages(RawFile(self._path))
            cells = (cell for cell in self._pages.cells() if any(cell.row in gap for gap in gaps))
            self._rescued = {cell.row: cell for cell in cells if self._pages.data(cell) is not None}
        for cell in self._rescued.values():
            yield cell.row, cell.topic, _usable(cell.time_ns)
        lost = sum(len(gap) for gap in gaps if gap.stop < LAST_ROW)
        lost -= sum(row < last for row in self._rescued)
        ends = [f"messages from {gap.start:,} on" for gap in gaps if gap.stop == LAST_ROW]
        what = " and ".join([*([f"up to {lost:,} messages"] if lost > 0 else []), *ends])
        rescued = f", but for {len(self._rescued):,}" if self._rescued and ends else ""
        left = f"{what} are left out{rescued}" if what else "what they lead to is read all the same"
        self._say(f"pages are damaged or missing; {left}")

    def _rescue(self, row: int) -> bytes | None:
        """The data of a message that SQLite does not reach, if they are there."""
        return self._pages.data(self._rescued[row]) if row in self._rescued else None

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
            found = self._query(f"{ROWS} LIMIT 1", (row,)).fetchone()
            return found is not None and isinstance(found[0], int) and found[0] > row
        except sqlite3.Error:
            return False


def _usable(time: object) -> int:
    """A record time in ns, 0 if it is none."""
    return time if isinstance(time, int) and 0 < time < LATEST_NS else 0


def _is_hot(path: Path, ending: str) -> bool:
    """Whether a journal beside a file waits to be applied."""
    try:
        with open(f"{path}{ending}", "rb") as file:
            return file.read(len(JOURNALS[ending])) == JOURNALS[ending]
    except FileNotFoundError:
        return False
