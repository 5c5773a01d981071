"""Pictures and a trajectory as the TUM RGB-D benchmark has them, which many tools read.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats: `timestamp tx ty tz qx qy qz qw`,
the position and orientation of the camera's optical centre in the world, in optical axes.
"""

from pathlib import Path

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.errors import BankError
from gaussvae_ros.exports.form import Format, optical, seconds


class Tum(Format):
    """rgb/STAMP.png, rgb.txt, and groundtruth.txt with a pose for each picture."""

    needs_pose = one_map = one_camera = True

    def __init__(self, folder: Path, bank: MemoryBank, pictures: str | None) -> None:
        super().__init__(folder, bank, pictures)
        (folder / "rgb").mkdir()
        self._list, self._poses = self.text("rgb.txt"), self.text("groundtruth.txt")
        self._list.write("# timestamp filename\n")
        self._poses.write("# timestamp tx ty tz qx qy qz qw\n")

    def add(self, frame: Frame, image: np.ndarray) -> None:
        stamp = seconds(frame.stamp_ns)
        name = f"rgb/{stamp}.{self.ending}"
        try:
            with open(self.folder / name, "xb") as file:
                file.write(self.picture(image))
        except FileExistsError:
            same = {"after": frame.stamp_ns, "before": frame.stamp_ns, "camera": frame.camera}
            alike = len(self.bank.ids(**same, session=frame.session)) > 1
            what = "take --format kitti, which numbers them" if alike else "choose with --session"
            raise BankError(
                f"frame {frame.id} has the stamp of another one, {frame.stamp_ns}, by which their"
                f" pictures are named: {what}"
            ) from None
        self._list.write(f"{stamp} {name}\n")
        numbers = " ".join(f"{number:.9f}" for number in optical(frame.pose))
        self._poses.write(f"{stamp} {numbers}\n")
