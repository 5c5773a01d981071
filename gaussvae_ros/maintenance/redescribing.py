"""Descriptors of places for the frames of a memory file that have none, or an earlier kind."""

from collections.abc import Callable, Iterable

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, BankGone, GaussVaeError
from gaussvae_ros.recognition.places import LENGTH, describe_record


def to_describe(bank: MemoryBank) -> list[int]:
    """The ids of the frames that have no readable descriptor of places."""
    return [frame_id for frame_id in bank.ids() if not _is_described(bank, frame_id)]


def describe_frames(
    bank: MemoryBank,
    codec: FrameCodec,
    ids: Iterable[int],
    progress: Callable[[int], None] | None = None,
) -> list[tuple[int, str]]:
    """Give frames a descriptor of places, made of their records; `progress` is called with each
    count of frames.

    Returns:
        (id, why) of those that cannot be read or decoded, which keep the descriptor that they have.

    Raises:
        BankError: nothing can be stored. What was stored before stays.
    """
    failed, changed = [], False
    for frame_id in ids:
        try:
            descriptor = describe_record(codec, bank.get(frame_id).records).tobytes()
        except BankGone:
            raise
        except GaussVaeError as error:
            failed.append((frame_id, str(error)))
        else:
            changed = True
            bank.set_descriptor(frame_id, descriptor)
        if progress is not None:
            progress(1)
    if changed:
        bank.flush()
        bank.announce_descriptors()
    return failed


def is_of_places(descriptor: bytes | None) -> bool:
    """Whether it is a descriptor of places, by its length."""
    return len(descriptor or b"") == LENGTH


def _is_described(bank: MemoryBank, frame_id: int) -> bool:
    try:
        return is_of_places(bank.descriptor(frame_id))
    except BankError:  # a damaged one
        return False
