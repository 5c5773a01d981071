"""Pictures named by id, index.csv with what the memory knows of each, texts.csv with what was read
in them, and records of volumes with volumes.csv.
"""

import csv
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank, Volume
from gaussvae_ros.bank.file.schema import POSE
from gaussvae_ros.exports.form import Format

# Poses in m, and a quaternion; x ahead, y left, z up.
COLUMNS = ("file", "id", "stamp_ns", "camera", "session", "label", *POSE, "map_id")
VOLUMES = ("file", "id", "stamp_ns", "session", *POSE, "map_id")
TEXTS = ("id", "text", "x", "y", "w", "h", "confidence")  # boxes in px of the camera frame


class Folder(Format):
    """All frames, whether or not they have a pose."""

    def __init__(self, folder: Path, bank: MemoryBank, pictures: str | None) -> None:
        super().__init__(folder, bank, pictures)
        self._rows = csv.writer(self.text("index.csv"))
        self._rows.writerow(COLUMNS)
        self._bank, self._texts, self._volumes = bank, None, None

    def add(self, frame: Frame, image: np.ndarray) -> None:
        name, pose = f"{frame.id:08d}.{self.ending}", frame.pose
        (self.folder / name).write_bytes(self.picture(image))
        place = [*pose.position, *pose.orientation, pose.reference] if pose else [""] * 8
        facts = frame.id, frame.stamp_ns, frame.camera, frame.session, frame.label or ""
        self._rows.writerow([name, *facts, *place, frame.map_id])
        for text in self._bank.texts(frame.id):
            if self._texts is None:
                self._texts = csv.writer(self.text("texts.csv"))
                self._texts.writerow(TEXTS)
            self._texts.writerow([frame.id, text.text, *text.box, text.confidence])

    def add_volume(self, volume: Volume) -> bool:
        if self._volumes is None:
            self._volumes = csv.writer(self.text("volumes.csv"))
            self._volumes.writerow(VOLUMES)
        name, pose = f"{volume.id:08d}.volume", volume.pose
        (self.folder / name).write_bytes(volume.data)
        place = [*pose.position, *pose.orientation, pose.reference]
        row = [name, volume.id, volume.stamp_ns, volume.session, *place, volume.map_id]
        self._volumes.writerow(row)
        return True
