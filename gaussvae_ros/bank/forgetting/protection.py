"""Which frames are never forgotten: those with labels, and the seconds around them."""

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.forgetting.budget import Budget
from gaussvae_ros.bank.frame import INT64

_LABELLED = """
    SELECT f.session, f.stamp_ns FROM labels l JOIN frames f ON f.id = l.frame
    ORDER BY f.session, f.stamp_ns
"""


class Protection:
    """The spans of time around the labels of each session, as they are in the file now."""

    def __init__(self, db: Database, budget: Budget):
        before, after = (
            round(1e9 * seconds) for seconds in (budget.protect_before, budget.protect_after)
        )
        stamps: dict[int, list[int]] = {}
        for session, stamp_ns in db.execute(_LABELLED).fetchall():
            stamps.setdefault(session, []).append(stamp_ns)
        # By session: int64 [L] where the spans begin and where they end, both ascending.
        self._spans = {
            session: (
                np.array([max(stamp - before, -INT64) for stamp in found], np.int64),
                np.array([min(stamp + after, INT64 - 1) for stamp in found], np.int64),
            )
            for session, found in stamps.items()
        }

    def covers(self, session: int, stamp_ns: int) -> bool:
        """Whether a frame of this session and stamp is protected."""
        if session not in self._spans:
            return False
        begins, ends = self._spans[session]
        # The last span that begins by then is the one that ends last.
        at = int(np.searchsorted(begins, stamp_ns, side="right")) - 1
        return at >= 0 and stamp_ns <= ends[at]
