"""The frames most like a descriptor that meet conditions."""

from collections.abc import Iterator
from itertools import islice

from sqlite_utils import Database

from gaussvae_ros.bank.descriptors import Descriptors
from gaussvae_ros.bank.matching import few, meeting, spans

FEW = 12_000  # frames that are named first, and then compared
CHECKED = 64, 4096  # frames that are held against the conditions at once: first, and at most


def alike(
    db: Database, descriptors: Descriptors, descriptor: bytes, **conditions: object
) -> Iterator[tuple[int, float]]:
    """(frame id, likeness) of the frames that meet all conditions, see `MemoryBank.find`, best
    first, then by id.

    Where few meet them, those are compared; else all are that were taken in the runs of frames
    which may meet them, and the best held against them.
    """
    if all(value is None for value in conditions.values()):
        yield from descriptors.ranked(db, descriptor, None)
        return
    if (those := few(db, FEW, **conditions)) is not None:
        yield from descriptors.ranked(db, descriptor, those)
        return
    ranked = descriptors.ranked(db, descriptor, None, spans(db, **conditions))
    count, most = CHECKED
    while best := list(islice(ranked, count)):
        met = meeting(db, [frame_id for frame_id, _ in best], **conditions)
        yield from (found for found in best if found[0] in met)
        count = min(2 * count, most)
