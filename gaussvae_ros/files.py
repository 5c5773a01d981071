"""Files written whole or not at all, and for whom."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image

from gaussvae_ros.errors import GaussVaeError, ImageError

PRIVATE = 0o600  # mode of files that hold what a robot saw: their owner's alone
FILE_MODES = ("0600", "0640", "0660")  # what else they may have: a group reads, or writes, too
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
SQLITE = b"SQLite format 3\0"  # with which a memory file begins, and a .db3 file of a bag
LONGEST = {"JPEG": 65500, "WEBP": 16383}  # px of a side, in the formats that have a limit


def printable(path: str | Path) -> str:
    """A path as one line of text to print and store; whatever is no character becomes a mark."""
    text = os.fsencode(path).decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def name_of(path: str | Path) -> str:
    """The name of a file or folder as `printable`, also where the path is ".", and "/" has one."""
    return printable(Path(os.path.abspath(path)).name) or "/"


def make_file(path: Path, mode: int) -> None:
    """Make an empty file of this mode, whatever the umask; one that is there stays as it is."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    except FileExistsError:
        return
    try:
        set_mode(file, mode)
    finally:
        os.close(file)


def set_mode(file: int | str | Path, mode: int) -> None:
    """Give an open or closed file a mode, where its file system has modes at all: that of most USB
    sticks has none, and lets those in whom it was mounted for.
    """
    try:
        os.chmod(file, mode)
    except PermissionError:
        pass


def folder_mode(mode: int) -> int:
    """That of a folder with files of this mode."""
    return mode | 0o100 | (mode & 0o044) >> 2


def make_folder(path: Path, mode: int) -> None:
    """Make a folder, and those above it, to be entered by whoever may read files of this mode;
    those that are there stay as they are.
    """
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            try:
                folder.mkdir()
            except FileExistsError:  # another process made it just now
                if not folder.is_dir():
                    raise
            else:
                set_mode(folder, folder_mode(mode))


@contextmanager
def naming(path: str | Path, draft: Path) -> Iterator[None]:
    """Errors that name a draft of this file or folder, or nothing, name what was asked for."""
    try:
        yield
    except OSError as error:
        if not str(error.filename or draft).startswith(str(draft)):
            raise
        why = error.strerror or str(error) or "cannot be written"
        raise OSError(error.errno, why, str(path)) from error
    except GaussVaeError as error:
        if str(draft) not in str(error):
            raise
        raise type(error)(str(error).replace(str(draft), str(path))) from error


def write_file(path: str | Path, data: bytes, mode: int | None = None) -> None:
    """Write a file beside its place and move it there, so that nobody sees half of it.

    A link stays one, to the new file; what is no file (/dev/null, /dev/stdout,
    a pipe) takes the bytes. `mode` is that of a new file, without which the umask says it.

    Raises:
        OSError: the place cannot be written, or the disk is full; an older
            file is still there, whole.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder", str(path))
    place = Path(os.path.realpath(path))
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        if mode is not None:
            draft.unlink(missing_ok=True)  # whose mode would stay
            make_file(draft, place.stat().st_mode & 0o777 if place.exists() else mode)
        draft.write_bytes(data)
        os.replace(draft, place)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # a read-only disk, of which the error above tells
            draft.unlink(missing_ok=True)


def check_writable(folder: str | Path) -> None:
    """See whether a folder, which need not be there, takes a file, and leave all as it was.

    Raises:
        OSError: it does not.
    """
    folder = Path(folder)
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"whether there is room")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        with suppress(OSError):  # those that were made; one that another uses by now stays
            for path in new:
                path.rmdir()


def write_image(path: str | Path, image: np.ndarray, mode: int | None = None) -> None:
    """Write a picture, uint8 [H, W, 3] RGB or [H, W], in the format that the name's ending says.
    `mode` is as for `write_file`.

    Raises:
        ImageError: an ending that is not in FORMATS, or more pixels than that format can have.
        OSError: as `write_file`.
    """
    kind = image_format(path)
    height, width = image.shape[:2]
    if max(height, width) > LONGEST.get(kind, max(height, width)):
        raise ImageError(
            f"{path}: {width}x{height} px are too many for {kind}, whose sides have at most"
            f" {LONGEST[kind]} px: write a PNG, a name that ends in .png"
        )
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, quality=95)
    write_file(path, out.getvalue(), mode)


def image_format(path: str | Path) -> str:
    """The picture format of a file name, by its ending.

    Raises:
        ImageError: an ending that is not in FORMATS.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(
            f"{path}: cannot tell the picture's format, end the name in one of {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]
