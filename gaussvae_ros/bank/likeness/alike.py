"""The frames most like a descriptor that meet conditions."""

from collections.abc import Callable, Iterator
from itertools import islice

from sqlite_utils import Database

from gaussvae_ros.bank.likeness.descriptors import Descriptors
from gaussvae_ros.bank.search.matching import few, meeting, spans

FEW = 12_000  # frames that are named first, and then compared
CHECKED = 64, 4096  # frames that are held against the conditions at once: first, and at most


def alike(
    db: Database, descriptors: Descriptors, descriptor: bytes, **conditions: object
) -> Iterator[tuple[int, float]]:
    """(frame id, likeness) of the frames that meet all conditions, see `MemoryBank.find`, best
    first, then by id.
    """
    yield from meeting_conditions(
        db, lambda among, within: descriptors.ranked(db, descriptor, among, within), **conditions
    )


def meeting_conditions(
    db: Database,
    ranking: Callable[[list[int] | None, list | None], Iterator[tuple[int, float]]],
    **conditions: object,
) -> Iterator[tuple[int, float]]:
    """(frame id, score) of the frames that meet all conditions, in the order that `ranking` has
    them in; it takes the ids that it is to rank, None for all, and spans of ids beyond which it
    need not look, None for none.

    Where few meet them, those are ranked; else all are that were taken in the runs of frames which
    may meet them, and the best held against them.
    """
    if all(value is None for value in conditions.values()):
        yield from ranking(None, None)
        return
    if (those := few(db, FEW, **conditions)) is not None:
        yield from ranking(those, None)
        return
    ranked, (count, most) = ranking(None, spans(db, **conditions)), CHECKED
    while best := list(islice(ranked, count)):
        met = meeting(db, [frame_id for frame_id, _ in best], **conditions)
        yield from (found for found in best if found[0] in met)
        count = min(2 * count, most)
