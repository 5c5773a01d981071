"""Writes that a memory file has accepted and not committed, kept to be executed again."""

from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import migrations
from gaussvae_ros.bank.file.statements import ADD_FRAME, Statement
from gaussvae_ros.bank.frame import Frame
from gaussvae_ros.bank.references import References, Stored
from gaussvae_ros.bank.search.queries import read_frame

GROUP_WRITES = 2000  # frames and changes in a group at most, also while the disk is full
GROUP_BYTES = 4 * 2**20  # of records in a group at most


class Waiting:
    """The writes of a group, oldest first: each is the statements of one frame or change."""

    def __init__(self):
        self.writes: list[list[Statement]] = []
        self.ids: list[int] = []  # of the frames among them
        self.records: dict[int, Stored] = {}  # that they store, by frame
        self.chains: dict[int, tuple[bytes, ...]] = {}  # what those need, by reference
        self.removed: set[int] = set()  # the frames that they remove
        self._bytes = 0  # of what they store

    def __len__(self) -> int:
        return len(self.writes)

    @property
    def full(self) -> bool:
        """Whether they are as many, or as large, as may wait."""
        return len(self.writes) >= GROUP_WRITES or self._bytes >= GROUP_BYTES

    def add(self, statements: list[Statement], frame_id: int | None):
        """One more; `frame_id` says that it stores a new frame."""
        self.writes.append(statements)
        self._bytes += _bytes(statements)
        if frame_id is not None:
            self.ids.append(frame_id)

    def committed(self, writes: list[list[Statement]]):
        """These, the first of all, wait no more."""
        count = sum(statements[0][0] is ADD_FRAME for statements in writes)
        self._bytes -= sum(map(_bytes, writes))
        del self.writes[: len(writes)]
        del self.ids[:count]
        if not self.writes:
            self.records, self.chains, self.removed = {}, {}, set()

    def frames(self) -> list[Frame]:
        """The frames among them, without a look at the disk."""
        with Database(memory=True, execute_plugins=False) as db:
            migrations.apply(db)
            for statements in self.writes:
                for statement in statements:
                    db.execute(*statement)
            references = References(db, chains=dict(self.chains))
            ids = (frame_id for frame_id in self.ids if frame_id not in self.removed)
            return [read_frame(db, frame_id, references) for frame_id in ids]

    def sentence(self) -> str:
        """The end of a sentence: what is not committed; empty if all is."""
        waiting = []
        if self.ids:
            waiting.append(f"frames {self.ids[0]} to {self.ids[-1]}")
        if others := len(self.writes) - len(self.ids):
            waiting.append(f"{others} changes of what was there")
        return f"; not stored yet: {' and '.join(waiting)}" if waiting else ""


def _bytes(statements: list[Statement]) -> int:
    return sum(
        len(value)
        for _, values in statements
        for value in values
        if isinstance(value, (bytes, str))
    )
