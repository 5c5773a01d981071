"""A LeRobot dataset, version 3.0, for policies that learn to navigate.

https://huggingface.co/docs/lerobot/lerobot-dataset-v3: rows of all episodes in Parquet, pictures
among them, and meta/ with what the columns are, where episodes begin, tasks and statistics. An
episode is a session, its task the session's name.
"""

import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.exports.form import Format
from gaussvae_ros.exports.statistics import Statistics
from gaussvae_ros.extras import install
from gaussvae_ros.poses import compose, inverse

STATE = ("x", "y", "z", "qx", "qy", "qz", "qw")  # m, and a quaternion, in the map
ACTION = ("x", "y", "yaw")  # m and rad, from this frame's pose to the next one's
GROUP_BYTES = 2**24  # of pictures that are written at once
FILE_BYTES = 100 * 2**20  # after which the next episode begins another file
FILES = 1000  # of a folder
INTERVALS = 10_000  # between frames, of which the rate is the median
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES, TASKS = "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"
INDICES = ("frame_index", "episode_index", "index", "task_index", "memory.id", "memory.stamp_ns")


class LeRobot(Format):
    """Of each frame with a pose: picture, pose, the motion to the next frame, id and stamp."""

    needs_pose = one_camera = by_session = True

    def __init__(self, folder: Path, bank: MemoryBank, pictures: str | None) -> None:
        super().__init__(folder, bank, pictures)
        self._arrow, self._parquet = _pyarrow()
        self._names = {session["id"]: session["name"] for session in bank.info()["sessions"]}
        self._tasks: dict[str, int] = {}  # task: its index
        self._episodes: list[dict] = []
        self._rows: list[dict] = []  # to be written
        self._bytes = self._file_bytes = self._count = 0
        self._last: tuple[Frame, dict] | None = None  # whose action is not known yet
        self._statistics: dict[str, Statistics] = {}
        self._intervals: list[int] = []  # ns
        self._picture, self._size = "", (0, 0)
        self._file, self._number = None, -1

    def add(self, frame: Frame, image: np.ndarray) -> None:
        if not self._picture:
            camera = re.sub("[^A-Za-z0-9]+", "_", frame.camera).strip("_")
            self._picture, self._size = f"observation.images.{camera or 'camera'}", frame.size
        if frame.size != self._size:
            sizes = ["x".join(map(str, size)) for size in (self._size, frame.size)]
            raise BankError(
                f"frames are of {sizes[0]} and of {sizes[1]} px, and this format takes one size:"
                " choose with --session"
            )
        if self._last is None or self._last[0].session != frame.session:
            self._begin(frame)
        else:
            self._act(frame)
        episode = self._episodes[-1]
        image = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
        row = {
            self._picture: {"bytes": self.picture(image), "path": None},
            "observation.state": frame.pose.array.astype(np.float32),
            "timestamp": np.float32((frame.stamp_ns - episode["begun_ns"]) / 1e9),
            "frame_index": episode["length"],
            "episode_index": episode["episode_index"],
            "index": self._count,
            "task_index": self._tasks[episode["tasks"][0]],
            "memory.id": frame.id,
            "memory.stamp_ns": frame.stamp_ns,
        }
        self._note(self._picture, image[::4, ::4].reshape(-1, 3) / 255)
        self._last = frame, row
        episode["length"] += 1
        self._count += 1

    def finish(self) -> None:
        self._end()
        self._close_file()
        arrow, tasks = self._arrow, list(self._tasks)
        for path in (EPISODES, TASKS):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        episodes = [{k: v for k, v in e.items() if k != "begun_ns"} for e in self._episodes]
        self._parquet.write_table(arrow.Table.from_pylist(episodes), self.folder / EPISODES)
        table = arrow.table({"task_index": arrow.array(range(len(tasks)), "int64"), "task": tasks})
        table = table.replace_schema_metadata({"pandas": json.dumps(_TASKS_INDEX)})
        self._parquet.write_table(table, self.folder / TASKS)
        self._write("stats", {key: made.figures() for key, made in self._statistics.items()})
        interval = np.median(self._intervals) if self._intervals else 1e9
        info = {
            "codebase_version": "v3.0",
            "robot_type": None,
            "total_episodes": len(episodes),
            "total_frames": self._count,
            "total_tasks": len(tasks),
            "chunks_size": FILES,
            "data_files_size_in_mb": FILE_BYTES // 2**20,
            "video_files_size_in_mb": 200,  # LeRobot's default; there are none
            "fps": max(1, round(1e9 / max(interval, 1))),
            "splits": {"train": f"0:{len(episodes)}"},
            "data_path": DATA,
            "video_path": None,
            "features": self._features(),
        }
        self._write("info", info)

    def _begin(self, frame: Frame) -> None:
        """An episode, in another file if this one is large enough."""
        self._end()
        if self._file is None or self._file_bytes + self._bytes > FILE_BYTES:
            self._open_file()
        task = self._names.get(frame.session) or f"session {frame.session}"
        self._tasks.setdefault(task, len(self._tasks))
        episode = {
            "episode_index": len(self._episodes),
            "tasks": [task],
            "length": 0,
            "data/chunk_index": self._number // FILES,
            "data/file_index": self._number % FILES,
            "dataset_from_index": self._count,
            "dataset_to_index": self._count,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            "begun_ns": frame.stamp_ns,
        }
        self._episodes.append(episode)

    def _act(self, following: Frame | None) -> None:
        """The action of the last frame is known: to move to the following one, or to stay."""
        frame, row = self._last
        moved = np.zeros(7)
        if following is not None:
            moved = compose(inverse(frame.pose.array), following.pose.array)
            if len(self._intervals) < INTERVALS:
                self._intervals.append(following.stamp_ns - frame.stamp_ns)
        x, y, _, qx, qy, qz, qw = moved
        yaw = np.arctan2(2 * (qx * qy + qz * qw), 1 - 2 * (qy * qy + qz * qz))
        row["action"] = np.array([x, y, yaw], np.float32)
        for key in ("observation.state", "action", "timestamp", *INDICES):
            self._note(key, np.reshape(row[key], (1, -1)))
        self._rows.append(row)
        self._bytes += len(row[self._picture]["bytes"])
        if self._bytes > GROUP_BYTES:
            self._flush()

    def _end(self) -> None:
        """The last frame of an episode came."""
        if self._last is not None:
            self._act(None)
            self._last = None
            self._episodes[-1]["dataset_to_index"] = self._count

    def _note(self, key: str, values: np.ndarray) -> None:
        self._statistics.setdefault(key, Statistics(picture=key == self._picture)).add(values)

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(self._arrow.Table.from_pylist(self._rows, self._file.schema))
        self._file_bytes += self._bytes
        self._rows, self._bytes = [], 0

    def _open_file(self) -> None:
        self._close_file()
        self._number += 1
        path = DATA.format(chunk_index=self._number // FILES, file_index=self._number % FILES)
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        self._file = self.files.enter_context(
            self._parquet.ParquetWriter(self.folder / path, self._schema())
        )
        self._file_bytes = 0

    def _close_file(self) -> None:
        if self._file is not None:
            self._flush()
            self._file.close()

    def _features(self) -> dict[str, dict]:
        """What the columns are."""
        width, height = self._size
        picture = {"dtype": "image", "shape": [height, width, 3]}
        features = {
            self._picture: {**picture, "names": ["height", "width", "channels"]},
            "observation.state": {"dtype": "float32", "shape": [len(STATE)], "names": STATE},
            "action": {"dtype": "float32", "shape": [len(ACTION)], "names": ACTION},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        }
        return features | {key: {"dtype": "int64", "shape": [1], "names": None} for key in INDICES}

    def _schema(self) -> object:
        arrow, kinds, columns = self._arrow, {}, []
        for key, feature in self._features().items():
            kind = {"_type": "Value", "dtype": feature["dtype"]}
            if feature["dtype"] == "image":
                kind, column = {"_type": "Image"}, {"bytes": arrow.binary(), "path": arrow.string()}
                column = arrow.struct(column)
            elif feature["shape"] == [1]:
                column = arrow.type_for_alias(feature["dtype"])
            else:
                column = arrow.list_(arrow.type_for_alias("float32"), feature["shape"][0])
                kind = {"_type": "List", "feature": kind, "length": feature["shape"][0]}
            kinds[key] = kind
            columns.append((key, column))
        about = {"huggingface": json.dumps({"info": {"features": kinds}})}
        return arrow.schema(columns, metadata=about)

    def _write(self, name: str, what: dict) -> None:
        text = json.dumps(what, indent=4, ensure_ascii=False)
        (self.folder / "meta" / f"{name}.json").write_text(text)


# As pandas says that the tasks are the table's index.
_TASKS_INDEX = {
    "index_columns": ["task"],
    "column_indexes": [],
    "columns": [
        {
            "name": name,
            "field_name": name,
            "pandas_type": kind,
            "numpy_type": numpy_type,
            "metadata": None,
        }
        for name, kind, numpy_type in (
            ("task_index", "int64", "int64"),
            ("task", "unicode", "object"),
        )
    ],
    "pandas_version": "2.2.0",
}


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise GaussVaeError(
            f"LeRobot datasets need pyarrow ({error}): {install('lerobot')}"
        ) from error
    return pyarrow, pyarrow.parquet
