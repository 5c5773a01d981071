"""Which files a bag is made of. What lies on the disk counts; metadata.yaml is only a hint."""

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from gaussvae_ros.bags import db3, mcap, rosbag1
from gaussvae_ros.bags.raw import ZSTD_MAGIC
from gaussvae_ros.bags.storage import Say
from gaussvae_ros.errors import BagError
from gaussvae_ros.files import printable

METADATA = "metadata.yaml"
STORAGE = (".mcap", ".db3", ".bag")
PACKED = (".zstd", ".zst")  # may follow one of STORAGE
UNENDED = ".active"  # follows .bag while rosbag record writes it
KINDS = {mcap.MAGIC: ".mcap", db3.MAGIC: ".db3", rosbag1.MAGIC: ".bag", ZSTD_MAGIC: PACKED[0]}
# most of a metadata.yaml, which decides nothing, and takes a parser seconds
QOS = re.compile(r"^( *)offered_qos_profiles:.*\n(?:\1(?: +|- ).*\n)*", re.MULTILINE)
LISTED = 8  # files, of many, that an error names
LONGEST = 32 << 20  # bytes of a metadata.yaml that is read


@dataclass
class Hint:
    """What a metadata.yaml promises."""

    files: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=Counter)  # messages by topic
    in_file: dict[str, int] = field(default_factory=dict)  # messages by file, where it says that


def kind_of(path: Path) -> str:
    """What a file is, of STORAGE or PACKED, by its first bytes, else by its name, or "".

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        begin = file.read(16)
    kind = next((kind for magic, kind in KINDS.items() if begin.startswith(magic)), "")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix != UNENDED]
    return kind or next((suffix for suffix in suffixes[-1:] if suffix in (*STORAGE, *PACKED)), "")


def is_bag(path: Path) -> bool:
    """Whether a file is named as one of a bag, or a folder holds metadata.yaml or such files."""
    return (path / METADATA).is_file() or bool(_inside(path)) if path.is_dir() else _is_named(path)


def find_files(path: Path, say: Say) -> tuple[list[Path], Hint]:
    """The files of the bag at a path, in their order, and what its metadata.yaml promises.

    Raises:
        BagError: no such path, no bag in it, or several recordings.
        OSError: the folder cannot be read.
    """
    if path.name == METADATA and path.is_file():
        path = path.parent
    if not path.exists():
        raise BagError(
            f"{printable(path)}: no such bag{' (a link to nothing)' if path.is_symlink() else ''}"
        )
    if not path.is_dir():
        if not path.is_file():
            raise BagError(f"{printable(path)} is neither a file nor a folder")
        if not kind_of(path):
            wanted = f"expected a rosbag2 folder or a file ending in {', '.join(STORAGE)}"
            raise BagError(f"{printable(path)} is not a bag: {wanted}")
        return [path], Hint()
    hint = _read_hint(path / METADATA, say)
    files = _inside(path)
    promised = [file for name in hint.files if (file := _promised(path, name))] if hint else []
    files += [file for file in promised if file not in files]
    files = _without_drafts(files, promised, say)
    files = _without_doubles(files, promised, say)
    if not files:
        raise BagError(f"{printable(path)} is not a bag: {_why_none(path, hint)}")
    if hint is None and len({_series(file) for file in files}) > 1:
        names = _listed(sorted(file.name for file in files))
        raise BagError(f"{printable(path)} holds {len(files)} recordings, name one: {names}")
    if hint:
        _compare(hint, files, promised, say)
    return sorted(files, key=_order), hint or Hint()


def _why_none(folder: Path, hint: Hint | None) -> str:
    """Why a folder holds no bag."""
    if hint and hint.files:
        return f"{METADATA} names {_listed(hint.files)}, and no such file is there"
    if bags := [
        inside.name for inside in sorted(folder.iterdir()) if inside.is_dir() and is_bag(inside)
    ]:
        return f"it holds {len(bags)}, name one: {_listed(bags)}"
    return f"no file inside ends in {', '.join(STORAGE)}"


def _listed(names: list[str]) -> str:
    more = " ..." if len(names) > LISTED else ""
    return ", ".join(printable(name) for name in names[:LISTED]) + more


def _is_named(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (*PACKED, UNENDED):
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in STORAGE


def _inside(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if _is_named(file) and file.is_file()]


def _promised(folder: Path, name: str) -> Path | None:
    """The file that metadata.yaml means, in older ones with its folder; None if it is not there."""
    for file in (folder / name, folder / Path(name).name):
        with suppress(OSError, ValueError):  # no name that a file can have
            if file.is_file() and (
                file.parent == folder or folder.resolve() in file.resolve().parents
            ):
                return file
    return None


def _without_drafts(files: list[Path], promised: list[Path], say: Say) -> list[Path]:
    """Leave out what a program that copies or writes hides, unless there is nothing else."""
    drafts = [file for file in files if file.name.startswith(".") and file not in promised]
    if len(drafts) == len(files):
        return files
    for file in drafts:
        say(f"{printable(file.name)} is hidden, the draft of another program, and left out")
    return [file for file in files if file not in drafts]


def _without_doubles(files: list[Path], promised: list[Path], say: Say) -> list[Path]:
    """Of files whose names differ in the ending alone (a packed file, a converted one) keep one."""
    kept: dict[str, Path] = {}
    for file in sorted(files, key=lambda f: (f not in promised, f.suffix in PACKED, f.name)):
        stem = _stem(file)
        if stem in kept:
            same = f"the same recording as {printable(kept[stem].name)}"
            say(f"{printable(file.name)} is left out: {same}")
        else:
            kept[stem] = file
    return list(kept.values())


def _stem(file: Path) -> str:
    """A file's path without the endings of bags."""
    return re.sub(r"(\.(mcap|db3|bag|zstd|zst|active))+$", "", str(file), flags=re.IGNORECASE)


def _series(file: Path) -> str:
    """What the files of one recording have in common."""
    return re.sub(r"_\d+$", "", _stem(file))


def _order(file: Path) -> tuple[str, int, str]:
    stem = _stem(file)
    number = re.search(r"_(\d+)$", stem)
    return _series(file), int(number[1]) if number else -1, stem


def _compare(hint: Hint, files: list[Path], promised: list[Path], say: Say) -> None:
    """Say where the disk and metadata.yaml differ."""
    for name in hint.files:
        if not any(file.name == Path(name).name for file in promised):
            count = hint.in_file.get(Path(name).name)
            much = f" with {count:,} messages" if count else ""
            say(f"{METADATA} names {printable(name)}{much}, which is not there")
    if hint.files:
        for file in files:
            if file not in promised:
                say(f"{METADATA} does not name {printable(file.name)}, which is read, too")


def _read_hint(path: Path, say: Say) -> Hint | None:
    """What metadata.yaml says, as far as it can be read; None without one."""
    if not path.is_file():
        return None
    hint = Hint()
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError("too long")
        text = QOS.sub("", path.read_bytes().decode(errors="replace"))
        about = YAML(typ="safe", pure=True).load(text)
        about = about["rosbag2_bagfile_information"]
        hint.files = [
            name.replace("\\", "/")  # as Windows writes it
            for name in about.get("relative_file_paths") or []
            if isinstance(name, str) and name
        ]
        for file in about.get("files") or []:
            hint.in_file[Path(file["path"].replace("\\", "/")).name] = int(file["message_count"])
        for entry in about.get("topics_with_message_count") or []:
            hint.counts[str(entry["topic_metadata"]["name"])] += int(entry["message_count"])
    except Exception:  # whatever foreign text may cause in a parser
        say(f"{METADATA} is empty or damaged, and the files are read without it")
    return hint
