"""What a memory file holds after its writer was killed, or the power failed, at a random moment."""

import hashlib
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from gaussvae_ros.bank import Frame, MemoryBank, Pose
from gaussvae_ros.bank.file import writing
from gaussvae_ros.bank.forgetting import removing
from gaussvae_ros.bench.disk_log import DiskLog
from gaussvae_ros.bench.power_loss import losses
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import BankError
from gaussvae_ros.recognition.places import LENGTH
from gaussvae_ros.record import Record, pack

KILLS, LOSSES = 1000, 200
STEPS = 150  # commits that the power may fail between and in
LARGEST_GROUP = 12  # frames
ONE_FILE = 5  # kills in a row that hit the same file
LONGEST_S = 0.25  # that a writer lives
PAUSE_S = 0.004  # between two of its frames, at most


def run(folder: Path, kills: int = KILLS, power_losses: int = LOSSES) -> list[dict]:
    """Rows of the files that did not come back whole, or lacked what was promised; what was wrong
    is printed.

    Raises:
        GaussVaeError: Python's SQLite cannot be listened to.
    """
    rows = []
    for what, count, problems in (
        ("kills", kills, after_kills(folder, kills)),
        ("power losses", power_losses, after_losses(folder, power_losses)),
    ):
        bad = 0
        for problem in tqdm(problems, total=count, desc=what, disable=None):
            if problem:
                bad += 1
                tqdm.write(problem)
        name = f"durability: files not whole, or short of what was promised, after {what}"
        rows.append(row(name, bad, "files", "none", count))
    return rows


# Power losses


def after_losses(folder: Path, count: int) -> Iterator[str]:
    """What is wrong after each loss, empty where nothing is."""
    rng = random.Random(count)
    path = folder / "lost.db"
    with DiskLog() as log, _commits_only_on_flush():
        states = _write_states(path, log, rng)
    moments = (rng.randrange(len(log.changes)) for _ in range(count))
    for way, promised, files in losses(log.changes, moments, rng):
        for old in folder.glob("lost.db*"):
            old.unlink()
        for name, contents in files.items():
            Path(name).write_bytes(contents)
        problem = _problem(path, lambda bank: _lacks(bank, states[promised : promised + 2]))
        yield problem and f"power loss ({way}) after state {promised}: {problem}"


def _write_states(path: Path, log: DiskLog, rng: random.Random) -> list[bytes]:
    """Commit changes of all kinds, and mark each once it is promised. Returns the states of the
    file, the empty one first.
    """
    states, bank, reader = [], None, None
    for _ in range(STEPS):
        bank = MemoryBank(path) if bank is None else bank
        states = states or [_state(bank)]
        step = rng.choice((_add, _add, _add, _change, _move, _remove, _carry))
        step(bank, [frame.id for frame in bank], rng)
        bank.flush()
        states.append(_state(bank))
        log.mark(len(states) - 1)
        if rng.random() < 0.1:  # who reads holds up merges, and keeps the log of a closed writer
            reader = MemoryBank(path, readonly=True) if reader is None else reader.close()
        if rng.random() < 0.1:
            bank = bank.close()
    for one in (bank, reader):
        if one is not None:
            one.close()
    return states


def _add(bank: MemoryBank, ids: list[int], rng: random.Random) -> None:
    for _ in range(rng.randint(1, LARGEST_GROUP)):
        frame_id = bank.add(
            pack(Record("latent", (640, 480), rng.randbytes(rng.randint(100, 3000)))),
            stamp_ns=rng.randrange(10**9),
            pose=Pose(rng.random(), rng.random(), 0.0),
            descriptor=rng.randbytes(LENGTH),
        )
    bank.set_label(frame_id, f"label {frame_id}")


def _change(bank: MemoryBank, ids: list[int], rng: random.Random) -> None:
    for frame_id in rng.sample(ids, min(len(ids), 5)):
        bank.set_pose(frame_id, Pose(rng.random(), 0.0, 0.0))
        bank.set_label(frame_id, rng.choice((None, "changed")))


def _move(bank: MemoryBank, ids: list[int], rng: random.Random) -> None:
    bank.set_poses({frame_id: Pose(0.0, rng.random(), 0.0) for frame_id in ids[:200]})


def _remove(bank: MemoryBank, ids: list[int], rng: random.Random) -> None:
    bank.remove(rng.sample(ids, min(len(ids), 8)))


def _carry(bank: MemoryBank, ids: list[int], rng: random.Random) -> None:
    bank.add_model(rng.randbytes(8), "model", rng.randbytes(20_000))


def _state(bank: MemoryBank) -> bytes:
    """A digest of all that was promised."""
    digest = hashlib.blake2b()
    for frame in bank:
        digest.update(repr((frame, bank.descriptor(frame.id))).encode())
    for hash_, *_ in bank.models():
        digest.update(bank.model(hash_))
    return digest.digest()


def _lacks(bank: MemoryBank, states: list[bytes]) -> str:
    return "" if _state(bank) in states else f"{len(bank)} frames are not what was promised"


# Kills


def after_kills(folder: Path, count: int) -> Iterator[str]:
    """What is wrong after each kill, empty where nothing is."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    rng, problem = random.Random(count), ""
    for number in range(count):
        path = folder / f"killed{number // ONE_FILE}.db"
        if number % ONE_FILE == 0 or problem:
            for old in folder.glob("killed*.db*"):
                old.unlink()
            first, promised = 0, -1
        receiver, sender = processes.Pipe(duplex=False)
        writer = processes.Process(target=write_groups, args=(path, first, sender), daemon=True)
        writer.start()
        sender.close()
        lives = rng.uniform(0, LONGEST_S)
        if rng.random() < 0.8:  # the others are killed while they start
            receiver.poll(60)
        time.sleep(lives)
        writer.kill()
        writer.join()
        try:
            while True:
                promised = receiver.recv()
        except EOFError:
            receiver.close()
        problem = ""
        if promised >= 0 or path.exists():
            problem, first = _problem(path, lambda bank: _not_whole(bank, promised)), 0
            if not problem:
                with MemoryBank(path, readonly=True) as bank:
                    newest = bank.newest()
                    first = newest.stamp_ns // 100 + 1 if newest else 0
        yield problem and f"kill {number} after group {promised}: {problem}"


def write_groups(path: Path, first: int, said: Connection) -> None:
    """Add frames for ever, and say of each group from the first that it was promised."""
    with _commits_only_on_flush(), MemoryBank(path) as bank:
        group = first
        while True:
            for frame in _group(group):
                bank.add(**frame)
                time.sleep(random.uniform(0, PAUSE_S))
            bank.flush()
            said.send(group)
            group += 1


def _group(number: int) -> list[dict]:
    """The frames of a group, as `add` takes them."""
    rng = random.Random(number)
    return [
        {
            "data": pack(Record("latent", (640, 480), rng.randbytes(rng.randint(100, 3000)))),
            "stamp_ns": 100 * number + k,
            "pose": Pose(number, k, 0),
            "label": f"frame {k}",
            "descriptor": rng.randbytes(LENGTH),
        }
        for k in range(rng.randint(1, LARGEST_GROUP))
    ]


def _not_whole(bank: MemoryBank, promised: int) -> str:
    frames = list(bank)
    groups = frames[-1].stamp_ns // 100 + 1 if frames else 0
    if groups <= promised:
        return f"{groups} groups are there"
    expected = [frame for number in range(groups) for frame in _group(number)]
    same = len(expected) == len(frames) and all(
        _facts(bank, found) == made for found, made in zip(frames, expected)
    )
    return "" if same else f"{len(frames)} frames are not those of {groups} groups"


def _facts(bank: MemoryBank, frame: Frame) -> dict:
    facts = {name: getattr(frame, name) for name in ("data", "stamp_ns", "pose", "label")}
    return facts | {"descriptor": bank.descriptor(frame.id)}


# Both


@contextmanager
def _commits_only_on_flush() -> Iterator[None]:
    """Where a group ends, and a removal, is known, however long a machine takes for it."""
    before = writing.COMMIT_S, removing.PIECE_S
    writing.COMMIT_S = removing.PIECE_S = 3600.0
    try:
        yield
    finally:
        writing.COMMIT_S, removing.PIECE_S = before


def _problem(path: Path, look: Callable[[MemoryBank], str]) -> str:
    """What is wrong with a file that is opened as a writer would, empty if nothing is."""
    try:
        with MemoryBank(path) as bank:
            if damages := bank.verify():
                return f"{len(damages)} damages, such as: {damages[0][1]}"
            return look(bank)
    except BankError as error:
        return str(error)
