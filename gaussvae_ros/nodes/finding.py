"""Which frames `find_frames` names, and how they are scored."""

import math

from gaussvae_ros.bank import Frame, MemoryBank, Pose
from gaussvae_ros.bank.likeness.label_likeness import LIKE
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.looking.encoder import Encoder
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.nearness import Nearness
from gaussvae_ros.recognition.kinds import describe_for
from gaussvae_ros.srv import FindFrames

ANYWHERE = 4e9  # m, more than between any two poses that a memory holds


class Finding:
    """One request: the conditions that frames must meet, and what scores them, if anything does."""

    def __init__(
        self,
        bank: MemoryBank,
        codec: FrameCodec,
        nearness: Nearness,
        encoder: Encoder | None,
        request: FindFrames.Request,
    ) -> None:
        self._bank, self._codec, self._nearness = bank, codec, nearness
        self._encoder, self._request = encoder, request

    def found(self, limit: int) -> list[tuple[Frame, float | None]]:
        """At most so many frames, each with its score, None where nothing scores them.

        Raises:
            GaussVaeError: the request asks for what does not go together, or is not there.
        """
        bank, request, conditions = self._bank, self._request, self._conditions()
        ranked = self._ranked(limit, conditions)
        if not 0 <= request.min_score <= (ranked is not None):
            raise GaussVaeError("min_score is from 0 to 1, and goes with what scores frames")
        if ranked is None:
            frames = bank.find(limit=limit, nearest_first=request.by_distance, **conditions)
            return [(frame, None) for frame in frames]
        return [(frame, score) for frame, score in ranked if score >= request.min_score]

    def _ranked(self, limit: int, conditions: dict) -> list[tuple[Frame, float]] | None:
        """The best frames, where the request says by what; else None."""
        bank, request, like = self._bank, self._request, self._like()
        looks_labelled = request.label.startswith(LIKE)
        if looks_labelled + bool(request.like_text) + (like is not None) > 1:
            raise GaussVaeError(f"frames are scored by one of like_..., like_text and {LIKE}label")
        if request.loops and like is None:
            raise GaussVaeError("loops of what? give like_id, like_image or like_compressed")
        if request.row > 1 and (request.loops or not request.like_id):
            raise GaussVaeError("a row is that of like_id, and not one for loops")
        if not (looks_labelled or request.like_text or like is not None):
            return None
        if request.by_distance:
            raise GaussVaeError("frames are sorted by distance or by score, not by both")
        if looks_labelled:
            label = conditions.pop("label")[len(LIKE) :]
            return bank.find_labelled_alike(label, limit=limit, **conditions)
        if request.like_text:
            if self._encoder is None:
                raise GaussVaeError("like_text takes an encoder: set the parameter encoder")
            return self._encoder.find(bank, request.like_text, limit, **conditions)
        if request.loops:
            stored = request.like_id and bank.descriptor(request.like_id)
            of = request.like_id if stored else like
            return bank.loop_candidates(of, limit=limit, **conditions)
        asked = bank.row(request.like_id, request.row) if request.row > 1 else like
        return bank.find_like(asked, limit=limit, **conditions)

    def _conditions(self) -> dict:
        """What `MemoryBank.find` is to hold the frames against."""
        request = self._request
        conditions = {
            "after": convert.stamp_ns(request.after),
            "before": convert.stamp_ns(request.before),
            "camera": request.camera,
            "session": request.session,
            "label": request.label,
            "map_id": request.map_id,
            "text": request.text,
        }
        if request.radius or request.yaw_tolerance or request.by_distance:
            place, reference = self._nearness.place(request.near, self._bank.references())
            conditions["near"], conditions["radius"] = (
                tuple(place[:3].tolist()),
                request.radius or ANYWHERE,
            )
            conditions["reference"] = reference
        if request.yaw_tolerance:
            conditions["yaw"] = _heading(Pose(*place.tolist()))
            conditions["yaw_tolerance"] = request.yaw_tolerance
        return {
            name: value for name, value in conditions.items() if value or name in ("near", "yaw")
        }

    def _like(self) -> bytes | None:
        """The descriptor of what the frames are to be like, None where nothing is given."""
        request = self._request
        given = [
            bool(request.like_id),
            request.like_image.width > 0,
            len(request.like_compressed.data) > 0,
        ]
        if not any(given):
            return None
        if sum(given) > 1:
            raise GaussVaeError(
                "likeness is asked for with one of like_id, like_image and like_compressed, not"
                " several"
            )
        if request.like_id:
            frame = self._bank.get(request.like_id)
            if descriptor := self._bank.descriptor(frame.id):
                return descriptor
            image = self._codec.decode(frame.records)
        else:
            image = convert.image_from(request.like_image if given[1] else request.like_compressed)
        return describe_for(self._bank, image)


def _heading(pose: Pose) -> float:
    """rad, from x towards y, of the way the x axis of a pose points."""
    x, y, z, w = pose.orientation
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
