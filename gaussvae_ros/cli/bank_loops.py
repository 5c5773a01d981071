"""The verb of `gaussvae bank` that finds where a frame was taken before: loops."""

import argparse

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, table


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "places where a frame may have been taken before"
    made = options.bank_verb(bank_verbs, "loops", loops, about)
    made.add_argument(
        "--id", type=int, metavar="N", help="the frame with this id; default: the one stored last"
    )
    made.add_argument(
        "--apart",
        type=float,
        default=10.0,
        metavar="S",
        help="leave out frames of its session within so many seconds; default 10",
    )
    options.conditions(made)
    options.as_json(made)


def loops(args: argparse.Namespace) -> None:
    """Show them, the likeliest first."""
    with MemoryBank(args.bank, readonly=True) as bank:
        frame = bank.newest(args.camera) if args.id is None else bank.get(args.id)
        found = []
        if frame is not None:
            given = options.given(args, bank)
            found = bank.loop_candidates(frame.id, apart_s=args.apart, **given)
    figures = [
        {
            "id": candidate.id,
            "stamp_ns": candidate.stamp_ns,
            "camera": candidate.camera,
            "session": candidate.session,
            "map_id": candidate.map_id or None,
            "position": list(candidate.pose.position) if candidate.pose else None,
            "probability": round(probability, 4),
        }
        for candidate, probability in found
    ]
    whose = {"of": None if frame is None else frame.id, "candidates": figures}
    if args.json:
        return show(args, whose, "")
    columns = "id", "stamp (ns)", "camera", "session", "map", "x (m)", "y (m)", "z (m)"
    rows = [
        [
            str(f["id"]),
            str(f["stamp_ns"]),
            f["camera"],
            f["session"],
            f["map_id"],
            *(f["position"] or [None] * 3),
            f["probability"],
        ]
        for f in figures
    ]
    table((*columns, "probability"), rows)
