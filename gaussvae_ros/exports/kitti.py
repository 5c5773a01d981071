"""Pictures and a trajectory as the KITTI odometry benchmark has them.

https://www.cvlibs.net/datasets/kitti/eval_odometry.php: a line has the upper three rows of the
4x4 matrix that takes points of the camera at that picture into the camera at the first one. Axes
are optical: x right, y down, z ahead.
"""

from pathlib import Path

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.exports.form import Format, calibration_of, optical, seconds
from gaussvae_ros.poses import compose, inverse, rotate


class Kitti(Format):
    """image_2/000000.png, times.txt (s since the first), poses.txt, and calib.txt if the camera's
    calibration is known.
    """

    needs_pose = one_map = one_camera = True

    def __init__(self, folder: Path, bank: MemoryBank, pictures: str | None) -> None:
        super().__init__(folder, bank, pictures)
        (folder / "image_2").mkdir()
        self._times, self._poses = self.text("times.txt"), self.text("poses.txt")
        self._first: tuple[int, np.ndarray] | None = None  # ns, and its pose's inverse
        self._calibration, self._session, self._count = "", None, 0

    def add(self, frame: Frame, image: np.ndarray) -> None:
        pose = optical(frame.pose)
        if self._first is None:
            self._first = frame.stamp_ns, inverse(pose)
        begun, back = self._first
        name = f"{self._count:06d}.{self.ending}"
        (self.folder / "image_2" / name).write_bytes(self.picture(image))
        self._times.write(f"{seconds(frame.stamp_ns - begun)}\n")
        self._poses.write(" ".join(f"{n:.9e}" for n in matrix(compose(back, pose)).ravel()) + "\n")
        if frame.session != self._session:
            self._calibrate(frame)
        self._count += 1

    def finish(self) -> None:
        if self._calibration:
            (self.folder / "calib.txt").write_text(self._calibration)

    def _calibrate(self, frame: Frame) -> None:
        """Take the camera's projection in a session, P2 as that of the colour camera."""
        known, self._session = calibration_of(self.bank, frame), frame.session
        try:
            numbers = np.reshape(known.get("p", ()), 12).astype(float)
        except (TypeError, ValueError):
            return
        if (known.get("width"), known.get("height")) == frame.size:
            line = f"P2: {' '.join(f'{number:.12e}' for number in numbers)}\n"
            if self._calibration not in ("", line):
                self.problems.append(
                    f"session {frame.session} has another calibration than calib.txt says"
                )
            self._calibration = self._calibration or line


def matrix(pose: np.ndarray) -> np.ndarray:  # [7] -> [3, 4]
    """Rotation and position of a pose."""
    return np.column_stack([rotate(pose[3:], np.eye(3)).T, pose[:3]])
