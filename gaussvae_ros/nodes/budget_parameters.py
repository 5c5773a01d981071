"""The parameters that say how much the memory may hold."""

from gaussvae_ros.bank import Budget
from gaussvae_ros.bank.forgetting.budget import POLICIES
from gaussvae_ros.nodes.parameter import Parameter

MOST = 10**15
BUDGET = (
    Parameter("max_bytes", 0, "bytes of the file at most; 0: no limit", (0, MOST), live=True),
    Parameter("max_frames", 0, "frames at most; 0: no limit", (0, MOST), live=True),
    Parameter(
        "max_age",
        0.0,
        "s that a frame may be older than those stored last; 0: no limit",
        (0.0, 1e9),
        live=True,
    ),
    Parameter(
        "max_sessions",
        0,
        "sessions that keep frames; 0: no limit",
        (0, MOST),
        live=True,
    ),
    Parameter(
        "min_free_bytes", 0, "bytes of the disk that stay free; 0: no limit", (0, MOST), live=True
    ),
    Parameter(
        "budget_policy",
        Budget.policy,
        "what goes first: what others cover best, or what is oldest; stop: nothing new is stored",
        choices=POLICIES,
        live=True,
    ),
    Parameter(
        "protect_before",
        Budget.protect_before,
        "s before a labelled frame whose frames are never forgotten, nor it",
        (0.0, 86400.0),
        live=True,
    ),
    Parameter(
        "protect_after",
        Budget.protect_after,
        "s after a labelled frame whose frames are never forgotten",
        (0.0, 86400.0),
        live=True,
    ),
    Parameter(
        "coarse_quality",
        25.0,
        "to which older frames fade before any goes for the bytes' sake, if they are much finer",
        (0.0, 100.0),
        live=True,
    ),
)
