"""Which volumes go next where a memory is larger than its budget."""

from sqlite_utils import Database

from gaussvae_ros.bank.forgetting.budget import Budget
from gaussvae_ros.bank.forgetting.choosing import Chooser, newest_sessions, oldest_stamp
from gaussvae_ros.bank.volumes import COVERED, has_volumes, totals

SHARE = 0.5  # of the bytes in use, which volumes may take before frames go instead
BATCH = 16  # volumes that go between two looks at the budget
_EACH = "SELECT id, session, stamp_ns FROM volumes"


def outdated(chooser: Chooser, budget: Budget) -> list[int]:
    """Those that are too old, or of a session too many."""
    db = chooser.db
    if not has_volumes(db):
        return []
    found, where = [], [("stamp_ns < ?", oldest_stamp(db, budget))]
    if budget.max_sessions:
        newest = newest_sessions(db, budget.max_sessions)
        if len(newest) == budget.max_sessions:
            where.append(("session < ?", newest[-1]))
    for condition, value in where:
        found += _may_go(chooser, f"{_EACH} WHERE {condition} ORDER BY id LIMIT 1000", value)
    return found[:BATCH]


def excess(chooser: Chooser, budget: Budget, used: int, frames_left: bool) -> list[int]:
    """Those that go since there are too many bytes, `used` in all: with `fade` those that later
    ones cover; then the one stored first, as long as volumes take more than their share or no
    frames are left that may go.
    """
    db: Database = chooser.db
    count, size = totals(db)
    if not count:
        return []
    covered = _may_go(chooser, COVERED) if budget.policy == "fade" else []
    if not covered and (size > SHARE * used or not frames_left):
        covered = _may_go(chooser, f"{_EACH} ORDER BY id")[:1]
    return covered[:BATCH]


def _may_go(chooser: Chooser, sql: str, *values: int) -> list[int]:
    """Those of a question that labels of frames do not protect."""
    rows = chooser.db.execute(sql, values).fetchall()
    return [number for number, *when in rows if not chooser.stays(0, *when)]
