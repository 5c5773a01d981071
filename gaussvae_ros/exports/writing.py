"""The way of frames from a memory file into an export, which is there once it is whole."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, BankGone, GaussVaeError
from gaussvae_ros.exports.form import Format
from gaussvae_ros.files import PRIVATE, folder_mode, make_folder, naming, set_mode

NAMED = 20  # frames left out that are named


@dataclass
class Exported:
    """What became of the frames and volumes that were to be exported."""

    frames: int = 0
    volumes: int = 0
    without_pose: int = 0  # left out, since the format needs poses
    damaged: int = 0  # left out, since they cannot be read or decoded, or were removed meanwhile
    problems: list[str] = field(default_factory=list)  # one line each

    def lost(self, problem: str) -> None:
        """One more frame is damaged."""
        self.damaged += 1
        if self.damaged <= NAMED:
            self.problems.append(problem)
        elif self.damaged == NAMED + 1:
            self.problems.append("more frames are damaged; gaussvae bank verify names all")


def export(
    bank: MemoryBank,
    out: str | Path,
    form: type[Format],
    codec: FrameCodec,
    *,
    pictures: str | None = None,
    file_mode: int = PRIVATE,
    progress: Callable[[int], None] | None = None,
    limit: int | None = None,
    volumes: Sequence[int] = (),
    **conditions: object,
) -> Exported:
    """Write the frames that meet all conditions, which are those of `MemoryBank.find`, into a new
    folder, and the `volumes` with these ids where the format has a place for them.

    A frame that cannot be decoded is left out and named in `problems`. `pictures` is "png" or
    "jpeg", and each format has its default. `progress` is called with each count of frames.

    Raises:
        BankError: the folder is there, no frame is left, or they do not fit the format. Nothing is
            left behind, nor after any other error.
        OSError: the place cannot be written.
    """
    out = Path(os.path.abspath(out))
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BankError(f"{out} exists already: an export overwrites nothing")
    # The folder has its name in there, which a bag's file has, too.
    draft = out.with_name(f".exporting-{out.name}")
    inner, done = draft / out.name, Exported()
    make_folder(out.parent, file_mode)
    shutil.rmtree(draft, ignore_errors=True)
    with naming(out, draft), ExitStack() as stack:
        stack.callback(shutil.rmtree, draft, ignore_errors=True)
        make_folder(draft, PRIVATE)
        inner.mkdir()
        writer = form(inner, bank, pictures)
        with writer.files:
            for frame in islice(_fitting(bank, writer, done, conditions), limit):
                try:
                    image = codec.decode(frame.records)
                except GaussVaeError as error:
                    done.lost(f"frame {frame.id} does not decode: {error}")
                    continue
                writer.add(frame, image)
                done.frames += 1
                if progress is not None:
                    progress(1)
            if not done.frames:
                why = f" with a pose ({done.without_pose} have none)" if done.without_pose else ""
                why = f": {done.problems[0]}" if done.problems else why
                which = f" that meets all conditions, of {len(bank):,}" if conditions else ""
                raise BankError(f"{bank.path} has no frame to export{which}{why}")
            _add_volumes(bank, writer, volumes, done)
            writer.finish()
        done.problems += writer.problems
        _hand_over(inner, file_mode)
        inner.rename(out)
    return done


def _add_volumes(bank: MemoryBank, writer: Format, volumes: Sequence[int], done: Exported) -> None:
    without = 0
    for number in volumes:
        try:
            added = writer.add_volume(bank.volume(number))
        except BankError as error:
            done.lost(str(error))
            continue
        done.volumes += added
        without += not added
    if without:
        done.problems.append(f"left out, since this format has no volumes: {without} of them")


def _fitting(bank: MemoryBank, writer: Format, done: Exported, conditions: dict) -> Iterator[Frame]:
    """Those frames that the format takes."""
    first, placed = None, None
    for frame in _frames(bank, writer.by_session, done, conditions):
        if writer.needs_pose and frame.pose is None:
            done.without_pose += 1
            continue
        first = first or frame
        if writer.one_camera and frame.camera != first.camera:
            raise BankError(
                f"frames are of several cameras, such as {first.camera} and {frame.camera}, and"
                " this format takes one: choose with --camera"
            )
        if writer.one_session and frame.session != first.session:
            raise BankError(
                f"frames are of several sessions, such as {first.session} and {frame.session}, and"
                " this format takes one: choose with --session"
            )
        if writer.one_map and frame.pose is not None:
            placed = placed or frame
            one, other = (
                f"{f.pose.reference} of the map {f.map_id or 'that nobody named'}"
                for f in (placed, frame)
            )
            if one != other:
                raise BankError(
                    f"poses are in {one} and in {other}, which share no coordinates: choose with"
                    " --session or --map-id"
                )
        yield frame


def _frames(
    bank: MemoryBank, by_session: bool, done: Exported, conditions: dict
) -> Iterator[Frame]:
    sessions = [conditions.get("session")]
    if by_session and sessions == [None]:
        sessions = [session["id"] for session in bank.info()["sessions"]]
    for session in sessions:
        for frame_id in bank.each_id(**{**conditions, "session": session}):
            try:
                frame = bank.get(frame_id)
            except BankGone:
                raise
            except BankError as error:
                done.lost(str(error))
            else:
                yield frame


def _hand_over(folder: Path, mode: int) -> None:
    """Let those read it whom the mode names."""
    for root, _, names in os.walk(folder):
        for name in names:
            set_mode(os.path.join(root, name), mode)
        set_mode(root, folder_mode(mode))
