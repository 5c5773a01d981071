"""From a memory file to the page: frames are read and recalled once, one after another."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.files import PRIVATE, printable, write_file
from gaussvae_ros.recognition.kinds import PLACES, describe_for, kind_of
from gaussvae_ros.timeline import page
from gaussvae_ros.timeline.facts import Facts
from gaussvae_ros.timeline.floor_map import FloorMap
from gaussvae_ros.timeline.recalls import Job, recalls
from gaussvae_ros.timeline.sheets import ACROSS, CELLS, WIDTHS, Sheets, picture_size

A_PICTURE = 100_000  # bytes, more than any takes
SAMPLED = 24  # frames whose pictures say how large the others may be
MARGIN = 1.1  # of what they say
A_TEXT = 16  # bytes that a text takes beside its letters
A_FRAME = 160  # bytes of the columns of a frame, without its picture
BASE64 = 4 / 3
LEAST = 1.5  # MB, of which the page itself takes 0.1
PAYS = 500  # pictures that take longer than a process takes to begin
SAID = 5  # frames that could not be recalled, of many, that are named

log = logging.getLogger(__name__)


def write_timeline(
    path: str | Path,
    bank: MemoryBank,
    codec: object,  # a FrameCodec
    ids: Sequence[int] | None = None,
    floor_map: FloorMap | None = None,
    megabytes: float = 36.0,
    processes: int = 1,
    progress: Callable[[Sequence[int]], Iterator[int]] = iter,
) -> dict:
    """Write frames of a bank as one HTML page that needs nothing else, readable by its owner only.

    Args:
        ids: which frames, by stamp; None for all.
        floor_map: drawn under the poses of the map that most of the frames are in.
        megabytes: what the page takes, at most, unless facts of the frames alone take more.
            Pictures get smaller to fit, down to 128 px; then only each n-th frame of a camera gets
            one, and labelled ones.
        processes: that recall frames, each with a FrameCodec of its own where there are several;
            no more than pay.
        progress: wraps the ids.

    Returns:
        page, frames, pictures, step (n above), picture_px (the longer side), failed (frames that
        could not be recalled), damaged (frames that are left out, since they or what they need
        cannot be read), forgotten (frames removed between those that are there), bytes.

    Raises:
        GaussVaeError: there is no such frame, or `megabytes` is too small.
        OSError: the page cannot be written; an older one is still there, whole.
    """
    if not LEAST <= megabytes < float("inf"):
        raise GaussVaeError(f"a timeline takes at least {LEAST} MB, not {megabytes:g}")
    all_ids = bank.ids()
    ids = all_ids if ids is None else ids
    if not ids:
        raise GaussVaeError(f"{bank.path}: no such frame, so there is nothing to show")
    ground = floor_map.figures() if floor_map is not None else None
    texts = _texts(bank, ids)
    taken = len(ids) * A_FRAME * BASE64 + len(ground["png"] if ground else "")
    taken += sum(len(text) + A_TEXT for _, text in texts)
    room = max(megabytes * 1e6 - 100_000 - taken, 0) / BASE64
    width, step = _plan(bank, codec, ids, room)
    info = bank.info()
    pictures = -(-len(ids) // step) + sum(info["labels"].values())
    processes = max(min(processes, pictures // PAYS), 1)
    length = bank.descriptor_length() or PLACES.length
    facts = Facts(length)
    sheets, failed = Sheets(pictures, int(room)), []
    turns: dict[tuple, int] = {}  # frames so far, by session and camera
    unread = set(ids)

    def jobs() -> Iterator[tuple[Frame, Job | None]]:
        for frame in bank.frames(progress(ids)):
            unread.discard(frame.id)
            turn = turns[key] = turns.get(key := (frame.session, frame.camera), -1) + 1
            shown = turn % step == 0 or frame.label is not None
            yield frame, (frame.records, picture_size(frame.size, width)) if shown else None

    for frame, picture in recalls(jobs(), bank.path, codec, processes):
        if isinstance(picture, GaussVaeError):
            failed.append((frame.id, str(picture)))
            picture = None
        place = None if picture is None else sheets.add(picture)
        facts.add(frame, _descriptor(bank, frame, picture), place)
    if not len(facts):
        raise GaussVaeError(f"{bank.path}: no frame can be read, so there is nothing to show")
    _say(failed)
    files = sheets.files()
    columns, labels = facts.columns(sorted(all_ids))
    row_of = {int(frame_id): row for row, frame_id in enumerate(columns["id"])}
    figures = {
        "title": printable(bank.path.name),
        "labels": labels,
        "texts": [[row_of[i], text] for i, text in texts if i in row_of],
        "cameras": list(facts.cameras),
        "sessions": _sessions(info, facts),
        "sizes": [[*size, *picture_size(size, width)] for size in facts.sizes],
        "frameIds": list(facts.frame_ids),
        "places": [{"map": of, "reference": reference} for of, reference in facts.places],
        "ground": ground,
        "step": step,
        "unlike": round(1 - kind_of(length).unlike, 2),
        "firstId": min(all_ids),
        "across": ACROSS,
        "cells": CELLS,
        "failed": [frame_id for frame_id, _ in failed],
    }
    whole = page.assemble(figures, columns, files)
    write_file(path, whole, PRIVATE)
    shown = {number for number, file in enumerate(files) if file}
    places = columns["picture"].tolist()
    return {
        "page": str(path),
        "frames": len(facts),
        "pictures": sum(place // CELLS in shown for place in places),
        "step": step,
        "picture_px": width,
        "failed": len(failed),
        "damaged": sum(frame_id in bank for frame_id in unread),  # the others were removed
        "forgotten": int(columns["missing"].sum()),
        "bytes": len(whole),
    }


def _plan(bank: MemoryBank, codec: object, ids: Sequence[int], room: float) -> tuple[int, int]:
    """The longer side of pictures, px, and that each which frame gets one, for `room` bytes."""
    count = min(SAMPLED, len(ids))
    sample = list(bank.frames([ids[k * len(ids) // count] for k in range(count)]))
    for width in WIDTHS:
        sheets, packed = Sheets(count, int(room) + count * A_PICTURE), 0
        for frame in sample:
            try:
                sheets.add(codec.decode(frame.records, size=picture_size(frame.size, width)))
                packed += 1
            except GaussVaeError:
                continue
        needed = MARGIN * len(ids) * sum(map(len, sheets.files())) / max(packed, 1)
        if needed <= room:
            return width, 1
    return width, max(-(-int(needed) // max(int(room), 1)), 1)


def _descriptor(bank: MemoryBank, frame: Frame, picture: object | None) -> bytes | None:
    """That of a frame, or of its small picture where it was stored without."""
    try:
        descriptor = bank.descriptor(frame.id)
    except GaussVaeError:  # damaged, or removed meanwhile
        descriptor = None
    if descriptor is None and picture is not None:
        return describe_for(bank, picture)
    return descriptor


def _texts(bank: MemoryBank, ids: Sequence[int]) -> list[tuple[int, str]]:
    """(id, line) of all that was read in frames."""
    found = []
    for frame_id in ids if bank.info()["texts"] else ():
        try:
            found += ((frame_id, text.text) for text in bank.texts(frame_id))
        except GaussVaeError:  # removed meanwhile
            continue
    return found


def _sessions(info: dict, facts: Facts) -> list[dict]:
    names = {session["id"]: session["name"] for session in info["sessions"]}
    return [
        {"id": number, "name": names.get(number, ""), "map": map_id}
        for number, map_id in facts.sessions
    ]


def _say(failed: Sequence[tuple[int, str]]) -> None:
    for frame_id, why in failed[:SAID]:
        log.warning("frame %d has no picture: %s", frame_id, why)
    if len(failed) > SAID:
        log.warning("%d more frames have no picture", len(failed) - SAID)
