"""What the service `recall_volume` answers: a region of a stored volume, in any frame of TF."""

from collections.abc import Iterator

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header

from gaussvae_ros.bank import MemoryBank, Volume
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.nodes import convert, voxels
from gaussvae_ros.nodes.nearness import Nearness
from gaussvae_ros.poses import IDENTITY, compose, inverse, rotate
from gaussvae_ros.srv import RecallVolume
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.region import Region, cut, occupied
from gaussvae_ros.volume_record import open_envelope

MAX_VOXELS = 1 << 26  # of an answer


class VolumeRecall:
    """Answers, for any thread."""

    def __init__(self, nearness: Nearness) -> None:
        self._nearness, self._codec = nearness, VolumeCodec()

    def answer(
        self, bank: MemoryBank, request: RecallVolume.Request, response: RecallVolume.Response
    ) -> None:
        """Fill in the response. Raises GaussVaeError with why not."""
        box = _corners(request)
        if request.least > request.most:
            raise GaussVaeError(
                f"least is at most most, not {request.least:g} and {request.most:g}"
            )
        found = max(
            self._found(bank, request, box),
            key=lambda one: (one[0].stamp_ns, one[0].id),
            default=None,
        )
        if found is None:
            raise GaussVaeError("the memory has no such volume")
        volume, region, frame = found
        header = convert.header(volume.stamp_ns, frame)
        if request.as_grid:
            response.grid = voxels.grid_message(region, header)
        else:
            values = (request.least, request.most) if request.least or request.most else None
            points = occupied(region, values, *(box if box is not None else ()))
            response.points = voxels.points_message(points, header)
        response.id = volume.id

    # Inside

    def _found(
        self, bank: MemoryBank, request: RecallVolume.Request, box: np.ndarray | None
    ) -> Iterator[tuple[Volume, Region, str]]:
        """The volume that is asked for, or of each coordinate frame of volumes the latest that
        reaches the region.
        """
        frame = request.header.frame_id.strip("/")
        conditions = _conditions(request)
        if request.id:
            if conditions:
                raise GaussVaeError(
                    "a volume is asked for by its id or by time and map, not by both"
                )
            volume = bank.volume(request.id)
            reference = volume.pose.reference
            where = self._where(frame, reference, request)
            if (region := self._cut(volume, where, box)) is None:
                raise GaussVaeError(f"the region holds nothing of volume {volume.id}")
            yield volume, region, frame or reference
            return
        problems, references = [], bank.volume_references()
        for reference in references:
            try:
                where = self._where(frame, reference, request)
            except GaussVaeError as error:
                problems.append(error)
                continue
            about = {"reference": reference, **conditions, **_around(box, where)}
            for number in bank.volume_ids(**about):
                try:
                    volume = bank.volume(number)
                    region = self._cut(volume, where, box)
                except GaussVaeError as error:
                    problems.append(error)
                    continue
                if region is not None:
                    yield volume, region, frame or reference
                    problems = []
                    break
        if problems:
            raise problems[0]

    def _where(self, frame: str, reference: str, request: RecallVolume.Request) -> np.ndarray:
        """The pose [7] of a reference in the frame that is asked for."""
        if not frame or frame == reference:
            return IDENTITY
        asked = PoseStamped(header=Header(stamp=request.header.stamp, frame_id=frame))
        asked.pose.orientation.w = 1.0
        pose, _ = self._nearness.place(asked, [reference], "the region", "volumes")
        return inverse(pose)

    def _cut(self, volume: Volume, where: np.ndarray, box: np.ndarray | None) -> Region | None:
        pose = compose(where, volume.pose.array)
        record = open_envelope(volume.data)
        if box is None:
            count = np.prod(record.shape, dtype=object)
        else:
            sides = np.linalg.norm(box[1] - box[0]) / record.voxel_size
            count = np.prod(np.minimum(record.shape, sides + 2))
        if count > MAX_VOXELS:
            raise GaussVaeError(
                f"an answer has at most {MAX_VOXELS} voxels, which this exceeds: ask for a smaller"
                " region"
            )
        return cut(self._codec, volume.data, pose, *(box if box is not None else ()))


def _corners(request: RecallVolume.Request) -> np.ndarray | None:  # [2, 3]
    box = np.array([[getattr(c, axis) for axis in "xyz"] for c in (request.lower, request.upper)])
    return box if box.any() else None


def _conditions(request: RecallVolume.Request) -> dict:
    given = {
        "after": convert.stamp_ns(request.after),
        "before": convert.stamp_ns(request.before),
        "map_id": request.map_id,
    }
    return {name: value for name, value in given.items() if value}


def _around(box: np.ndarray | None, where: np.ndarray) -> dict:
    """The ball around a region, in the reference that `where` is the pose of."""
    if box is None or not np.isfinite(box).all():
        return {}
    back = inverse(where)
    centre = back[:3] + rotate(back[3:], box.mean(0))
    return {"near": centre.tolist(), "radius": float(np.linalg.norm(box[1] - box[0])) / 2}
