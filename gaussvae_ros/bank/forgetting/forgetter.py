"""Forgetting: a memory that is larger than its budget loses frames, a piece at a time."""

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank import volumes
from gaussvae_ros.bank.file.opening import open_file
from gaussvae_ros.bank.file.reasons import in_words
from gaussvae_ros.bank.forgetting import volume_choosing
from gaussvae_ros.bank.forgetting.budget import Budget, Forgotten, Usage
from gaussvae_ros.bank.forgetting.choosing import Chooser, latest_stamp, newest_sessions
from gaussvae_ros.bank.forgetting.redundancy import Redundancy
from gaussvae_ros.bank.forgetting.removing import PAUSE_S, SPARE, Remover
from gaussvae_ros.bank.forgetting.usage import measured
from gaussvae_ros.bank.frame import INT64, Frame
from gaussvae_ros.bank.search import stamps
from gaussvae_ros.errors import BankError, BankGone
from gaussvae_ros.files import PRIVATE

BATCH = 256  # frames that are removed between two looks at the budget
PACKED = 4  # rows that are brought together for each frame that is removed here or there
NEAR = 0.5  # of what is used that may be too much, from where on that pays
STEP = 16  # one in so many frames is removed for the bytes' sake, before they are counted again
FEW = 64  # frames, for fewer of which that pays only where there is nothing else to do
SAVING = 0.25  # of what is used, about, that coarser records save

Recode = Callable[[Sequence[Frame]], Mapping[int, tuple[bytes, int | None]]]

log = logging.getLogger(__name__)


@dataclass
class Course:
    """One call of `forget`, and how far it came."""

    budget: Budget
    recode: Recode | None
    chooser: Chooser
    labelled: int  # how often labels had changed when the chooser saw them
    done: Forgotten
    packed: bool = False  # all that is left was brought together
    goal: int = 0  # frames that go for the bytes' sake before that pays; 0: none went yet


class Forgetter(Remover):
    """The forgetting of a `MemoryBank`, to which it adds the rest of the writing."""

    def __init__(self, path: str | Path, readonly: bool = False, file_mode: int = PRIVATE):
        self._forgetting = threading.Lock()
        # Where to go on bringing rows together, and for how many that is due.
        self._packed, self._due = {"records": 0, "descriptors": 0}, 0
        self._protected_by: tuple = ()  # what said so when frames were last found to be protected
        self._stuck: set[int] = set()  # frames that damage keeps in the file
        super().__init__(path, readonly, file_mode)

    def usage(self) -> Usage:
        """What the memory takes up, which is known without a look at all of it."""
        while True:
            with self._use():
                if not self._frame_count.advance(self._db):
                    return measured(self._db, self.path, self._frame_count.frames)
            time.sleep(PAUSE_S)

    def why_full(self, budget: Budget, more: int = 0) -> str:
        """Why the policy `stop` takes no more frames, in a sentence, once `more` are added; empty
        if it does, and for other policies.
        """
        if budget.policy != "stop" or not budget.limited:
            return ""
        usage = self.usage()
        if sentence := replace(usage, frames=usage.frames + more).sentence(budget):
            return f"the memory is full: {sentence}"
        with self._use():
            if budget.max_age and (latest := latest_stamp(self._db)) is not None:
                first, _ = next(stamps.walk(self._db))
                if (latest - first) / 1e9 >= budget.max_age:
                    return f"the memory is full: its frames span max_age, {budget.max_age:g} s"
            if budget.max_sessions:
                sessions = newest_sessions(self._db, budget.max_sessions + 1)
                if len(set(sessions) - {self._session}) >= budget.max_sessions:
                    return f"the memory is full: max_sessions is {budget.max_sessions}"
        return ""

    def forget(
        self,
        budget: Budget,
        recode: Recode | None = None,
        *,
        spare: int = 0,
        ends: Callable[[], bool] = lambda: False,
        progress: Callable[[Forgotten], None] = lambda done: None,
    ) -> Forgotten:
        """Remove frames until the memory is within its budget, or `ends()`. The policy `stop`
        removes none.

        Other threads can add frames meanwhile; they wait some 15 ms at most. `recode(frames)` gives
        frames whose records need each other coarser ones, by id, each with its reference, or none;
        with it `fade` takes detail from older frames before it removes any for the bytes' sake. The
        `spare` frames stored last stay. `progress` is called with what is done so far.

        Raises:
            BankError: the disk does not take it; some frames may be removed.
        """
        done = Forgotten(why=self.why_full(budget))
        if budget.policy == "stop" or not budget.limited:
            return done
        with self._forgetting:
            outdates = budget.max_age or budget.max_sessions
            usage = self.usage()
            done.why = usage.out_of_reach(budget)
            if outdates or self._due >= PACKED * FEW or _is_too_much(usage, budget):
                self.flush()
                with self._looking() as db:
                    chooser = Chooser(db, budget, self._redundancy, spare)
                    chooser.gone |= self._stuck
                    course = Course(budget, recode, chooser, self._labelled, done)
                    self._see_labels(course)
                    while not ends() and self._forget_some(course):
                        progress(done)
                        time.sleep(PAUSE_S)
                self._fit(budget)
        return done

    def plan(self, budget: Budget, *, spare: int = 0) -> tuple[list[int], str]:
        """The frames that `forget` would remove, about, and why the memory would still be larger
        than its budget, empty if it would not. Nothing is changed.
        """
        if budget.policy == "stop" or not budget.limited:
            return [], self.why_full(budget)
        self._commit_waiting()
        usage = self.usage()
        with self._looking() as db:
            chooser = Chooser(db, budget, Redundancy(), spare)
            ids = chooser.outdated(usage.frames)
            count = usage.too_many(budget)
            while len(ids) < count and (more := chooser.next(count - len(ids))):
                ids += more
            staying = chooser.staying()
        if len(ids) >= count:
            return ids, usage.out_of_reach(budget)
        return ids, _why(replace(usage, frames=usage.frames - len(ids)), budget, staying)

    # Inside

    @contextmanager
    def _looking(self) -> Iterator[Database]:
        """A connection to choose frames with, so that nobody waits for that."""
        with closing(open_file(self.path, readonly=True)) as db:
            try:
                yield db
            except (sqlite3.Error, UnicodeError) as error:
                raise BankError(f"{self.path}: {in_words(error, self.path)}") from error

    def _forget_some(self, course: Course) -> bool:
        """One step towards the budget; whether there was one to take."""
        if self._labelled != course.labelled:
            self._see_labels(course)
        if ids := course.chooser.outdated(BATCH):
            self._forget_these(ids, course)
            return True
        usage, budget = self.usage(), course.budget
        if self._forget_volumes(volume_choosing.outdated(course.chooser, budget), course):
            return True
        over, count = usage.bytes_over(budget), usage.too_many(budget)
        if over > 0 and self._forget_volumes(self._excess(course, usage, count > 0), course):
            return True
        for_bytes = count and usage.frames_over(budget) <= 0
        near = not count or (for_bytes and over <= NEAR * usage.used)
        if near and self._due >= PACKED * FEW:
            self._pack_some()
            return True
        if not count:
            course.done.why = self._why(usage, course) if over > 0 else usage.out_of_reach(budget)
            return False
        if for_bytes and over <= SAVING * usage.used and self._coarsen_some(course, usage.frames):
            return True
        if near and self._due:
            self._pack_some()
            return True
        if for_bytes:
            step = -(-usage.frames // STEP)
            course.goal = course.goal or max(count, step)
            count = min(count, step, course.goal)
        if ids := course.chooser.next(count):
            removed = self._forget_these(ids, course)
            if budget.policy == "fade":
                self._due = min(self._due + PACKED * removed, usage.frames)
                if for_bytes and course.goal <= removed:  # bring all together before more go
                    self._packed, self._due = dict.fromkeys(self._packed, 0), usage.frames
            course.goal = max(course.goal - removed, 0)
            return True
        if over > 0 and self._forget_volumes(self._excess(course, usage, False), course):
            return True
        if over > 0 and not course.packed:  # the last way to make room
            course.packed, self._due = True, usage.frames
            return usage.frames > 0
        course.done.why = self._why(usage, course)
        return False

    def _why(self, usage: Usage, course: Course) -> str:
        damaged = " and damaged ones" if self._stuck else ""
        return _why(usage, course.budget, course.chooser.staying() + damaged)

    def _excess(self, course: Course, usage: Usage, frames_left: bool) -> list[int]:
        return volume_choosing.excess(course.chooser, course.budget, usage.used, frames_left)

    def _forget_volumes(self, numbers: Sequence[int], course: Course) -> int:
        with self._use_to_write() as group:
            if numbers and self._labelled == course.labelled:
                group.write_now([(volumes.REMOVE, (number,)) for number in numbers])
                course.done.volumes += len(numbers)
        return len(numbers)

    def _see_labels(self, course: Course):
        with self._use_to_write() as group:
            group.flush()
            course.labelled = self._labelled
        course.chooser.protect()
        protected_by = course.labelled, course.budget.protect_before, course.budget.protect_after
        if protected_by != self._protected_by:
            self._protected_by = protected_by
            self._redundancy.bring_back()

    def _forget_these(self, ids: Sequence[int], course: Course) -> int:
        ids = sorted(ids, reverse=True)  # those that need others first
        known = bool(self._stuck)
        removed = self._remove(ids, lambda: self._labelled == course.labelled, self._stuck)
        self.flush()
        if self._stuck and not known:
            log.warning("%s: damage keeps frames from being removed: see verify", self.path)
        course.chooser.gone = set(self._stuck)
        course.done.removed += removed
        return removed

    def _coarsen_some(self, course: Course, frames: int) -> bool:
        """Give a few frames coarser records; whether there were any to look at."""
        if course.recode is None or course.budget.policy != "fade":
            return False
        chooser = course.chooser
        ids = self._families.next(chooser.db, frames, chooser.stays)
        family = list(self.frames(ids))
        if len(family) == len(ids) > 0 and (records := course.recode(family)):
            with self._lock:
                if self._labelled == course.labelled and self._replaced(records):
                    course.done.reencoded += len(records)
                    self._due += PACKED * len(records)
        return bool(ids)

    def _replaced(self, records: Mapping[int, tuple[bytes, int | None]]) -> bool:
        """Whether these frames took other records; others may need the old ones since."""
        try:
            self.replace(records)
            return True
        except BankError as error:
            if isinstance(error, BankGone) or isinstance(error.__cause__, sqlite3.Error):
                raise
            log.info("%s", error)
            return False

    def _pack_some(self):
        """Bring some of the rows together for which that is due."""
        rows = min(self._due, PACKED * BATCH)
        self._due -= rows
        for table, at in self._packed.items():
            at = self._pack(table, at, rows, shrunk=True)
            self._packed[table] = 0 if at == INT64 else at

    def _fit(self, budget: Budget):
        """Give free space back, and as much more as the budget asks for."""
        self._give_back(SPARE[1])
        usage = self.usage()
        free = usage.bytes - usage.used
        if (excess := usage.bytes - usage.most_bytes(budget)) > 0 and free:
            least = max(free - math.ceil(excess), 0)
            self._give_back(least, least)


def _is_too_much(usage: Usage, budget: Budget) -> bool:
    return usage.too_many(budget) > 0 or usage.bytes_over(budget) > 0


def _why(usage: Usage, budget: Budget, staying: str) -> str:
    which = f"only {staying}" if usage.frames else "no frames"
    return f"{which} are left: {usage.sentence(budget)}"
