"""Options that say how much a memory may hold, and `gaussvae bank prune`."""

import argparse

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.bank.file.opening import checked_path
from gaussvae_ros.bank.forgetting.budget import LIMITS, POLICIES
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show
from gaussvae_ros.errors import BankError

SHOWN = 10  # ids that a dry run names


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add the verb, with its options."""
    made = options.bank_verb(bank_verbs, "prune", prune, "forget frames until a budget is met")
    add_budget(made, [policy for policy in POLICIES if policy != "stop"])
    made.add_argument(
        "--dry-run", action="store_true", help="say what would be forgotten, and forget nothing"
    )
    options.as_json(made)


def add_budget(made: argparse.ArgumentParser, policies: list[str]) -> None:
    """How much a memory may hold, and what is done where it would be more."""
    for option, kind, name, about in (
        ("--max-bytes", int, "N", "bytes of the file at most"),
        ("--max-age", float, "S", "seconds that a frame may be older than those stored last"),
        ("--max-frames", int, "N", "frames at most"),
        ("--max-sessions", int, "N", "sessions that keep their frames, the newest"),
        ("--min-free-bytes", int, "N", "bytes of the disk that stay free"),
    ):
        made.add_argument(option, type=kind, metavar=name, default=0, help=about)
    made.add_argument(
        "--policy",
        choices=policies,
        default="fade",
        help="fade: those first that others cover best (default); fifo: those stored first"
        + ("; stop: none, and no more are taken" if "stop" in policies else ""),
    )
    for option, side in (("--protect-before", "before"), ("--protect-after", "after")):
        made.add_argument(
            option,
            type=float,
            metavar="S",
            default=getattr(Budget, f"protect_{side}"),
            help=f"seconds {side} a labelled frame whose frames stay, too (default 5)",
        )
    made.add_argument(
        "--coarse-quality",
        type=float,
        metavar="Q",
        help="with fade: before frames go for the bytes' sake, encode older ones again at this"
        " quality",
    )


def budget_of(args: argparse.Namespace) -> Budget:
    """The budget that the options ask for. Raises BankError for values that make none, or one that
    no file can meet.
    """
    limits = {limit: getattr(args, limit) for limit in LIMITS}
    protected = {"protect_before": args.protect_before, "protect_after": args.protect_after}
    budget = Budget(**limits, policy=args.policy, **protected)
    _refuse(budget.out_of_reach())
    return budget


def _refuse(why: str) -> None:
    if why:
        raise BankError(why)


def prune(args: argparse.Namespace) -> int:
    """Forget frames of a file, or say which would be."""
    budget = budget_of(args)
    if not budget.limited:
        raise BankError(
            "say how much the memory may hold: --max-frames, --max-bytes, --max-age,"
            " --max-sessions or --min-free-bytes"
        )
    path = checked_path(args.bank, readonly=True)  # which is not to be made
    with MemoryBank(path, readonly=args.dry_run) as bank:
        _refuse(budget.out_of_reach(bank.usage().models))
        return _planned(args, bank, budget) if args.dry_run else _pruned(args, bank, budget)


def _planned(args: argparse.Namespace, bank: MemoryBank, budget: Budget) -> int:
    ids, why = bank.plan(budget)
    frames, size = len(bank), bank.size()
    figures = {"frames": frames, "bytes": size, "removed": len(ids), "reencoded": 0, "why": why}
    some = ", ".join(map(str, ids[:SHOWN])) + (", ..." if len(ids) > SHOWN else "")
    text = f"{args.bank}: {len(ids):,} of {frames:,} frames would be forgotten"
    show(
        args,
        {"bank": args.bank, **figures, "ids": ids},
        "\n".join([f"{text}: {some}" if ids else text, *filter(None, [why])]),
    )
    return 1 if why else 0


def _pruned(args: argparse.Namespace, bank: MemoryBank, budget: Budget) -> int:
    from tqdm import tqdm

    recode = None
    if args.coarse_quality is not None:
        from gaussvae_ros.codec import FrameCodec
        from gaussvae_ros.maintenance.coarsening import Coarsening

        recode = Coarsening(FrameCodec(models=[bank]), args.coarse_quality)
    before = bank.size()
    with tqdm(unit="frame", desc="prune", delay=1, disable=None) as bar:
        done = bank.forget(
            budget,
            recode,
            progress=lambda done: bar.update(done.removed + done.reencoded - bar.n),
        )
    frames, size = len(bank), bank.size()
    figures = {"bank": args.bank, "frames": frames, "bytes": size, **vars(done)}
    again = f", {done.reencoded:,} encoded again" if done.reencoded else ""
    again += f", {done.volumes:,} volumes forgotten" if done.volumes else ""
    text = (
        f"{args.bank}: {done.removed:,} frames forgotten{again}, {frames:,} left;"
        f" {before / 1e6:.1f} MB before, {size / 1e6:.1f} MB now"
    )
    show(args, figures, "\n".join([text, *filter(None, [done.why])]))
    return 1 if done.why else 0
