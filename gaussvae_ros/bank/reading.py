"""Reading a memory file: the questions that frames answer."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice

from gaussvae_ros.bank.frame import INT64, Frame, checked_descriptor, checked_int
from gaussvae_ros.bank.likeness import loops
from gaussvae_ros.bank.likeness.alike import alike
from gaussvae_ros.bank.likeness.descriptors import last_length, read_descriptor
from gaussvae_ros.bank.likeness.label_likeness import labelled_alike
from gaussvae_ros.bank.likeness.voting import voted
from gaussvae_ros.bank.references import References
from gaussvae_ros.bank.search import queries
from gaussvae_ros.bank.search.matching import matching
from gaussvae_ros.bank.search.walking import Walker
from gaussvae_ros.errors import BankError

MOST_ASKED = 100  # descriptors of frames in a row

log = logging.getLogger(__name__)


class Reader(Walker):
    """The questions of a `MemoryBank`, which adds the writing."""

    def get(self, frame_id: int) -> Frame:
        """The frame with this id.

        Raises:
            BankError: there is no such frame, or it is damaged.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use():
            frame = queries.read_frame(self._db, frame_id)
        if frame is None:
            raise BankError(f"no frame {frame_id} in {self.path}")
        return frame

    def nearest(
        self, stamp_ns: int, camera: str | None = None, tolerance_ns: int | None = None
    ) -> Frame | None:
        """The readable frame nearest to a stamp, None if there is none within `tolerance_ns`; of
        two the earlier.
        """
        stamp_ns = checked_int("stamp_ns", stamp_ns)
        if tolerance_ns is not None and checked_int("tolerance_ns", tolerance_ns) < 0:
            raise BankError(f"tolerance_ns must be at least 0, not {tolerance_ns}")
        with self._use():
            with closing(queries.by_distance(self._db, stamp_ns, camera, tolerance_ns)) as ids:
                return next(self._readable(ids), None)

    def newest(self, camera: str | None = None) -> Frame | None:
        """The readable frame stored last, the one with the highest id; None if there is none."""
        with self._use():
            with closing(queries.latest(self._db, camera)) as ids:
                return next(self._readable(ids), None)

    def find(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        near: tuple[float, float, float] | None = None,
        radius: float | None = None,
        reference: str | None = None,
        yaw: float | None = None,
        yaw_tolerance: float | None = None,
        camera: str | None = None,
        session: int | None = None,
        label: str | None = None,
        map_id: str | None = None,
        text: str | None = None,
        nearest_first: bool = False,
        limit: int | None = None,
    ) -> list[Frame]:
        """The frames that meet every condition given, by stamp, at most `limit` of them; damaged
        ones are skipped.

        Args:
            after, before: ns, both ends belong to the range.
            near, radius: position (x, y, z) m and distance m, the ball's surface belongs to it.
                Frames without a pose are not found.
            reference: only poses in this coordinate frame, such as "map"; without it, poses in any.
            yaw, yaw_tolerance: with near, only poses that look at most `yaw_tolerance` rad from the
                heading `yaw`, which is 0 along x and counts towards y.
            map_id: only sessions whose poses are in this map; "" is those that know none.
            text: words that are all in what was read in the frame, in its label, or in the name of
                its session; `*` after a word stands for any ending.
            nearest_first: with near, by distance from it; the limit keeps the nearest.
        """
        if limit is not None:
            limit = checked_limit(limit)
        with self._use_at_once():
            ids = matching(
                self._db,
                after=after,
                before=before,
                near=near,
                radius=radius,
                reference=reference,
                yaw=yaw,
                yaw_tolerance=yaw_tolerance,
                camera=camera,
                session=session,
                label=label,
                map_id=map_id,
                text=text,
                nearest_first=nearest_first,
                limit=limit,
            )
            with closing(ids):  # an open cursor would hold a reader at an old state of the file
                return list(islice(self._readable(ids), limit))

    def references(self) -> list[str]:
        """The coordinate frames that poses are in, such as ["map"]."""
        with self._use():
            return queries.references(self._db)

    def find_like(
        self,
        descriptor: bytes | Sequence[bytes],
        *,
        limit: int = 10,
        **conditions: object,
    ) -> list[tuple[Frame, float]]:
        """The frames whose descriptor is most like this one, best first, with their likeness, 0 to
        1.

        Of several descriptors, of frames in a row of which the one asked about comes last, each
        votes: found are frames where the likest rows end, passed in the same or in the opposite
        order, with the mean likeness along the row.

        Frames without a descriptor, or with one of another length, are left out; so are damaged
        ones. `conditions` are those of `find`. Needs 64 bytes or so of memory for each frame of the
        file.
        """
        single = (bytes, bytearray, memoryview, str)
        one = isinstance(descriptor, single) or not isinstance(descriptor, Iterable)
        asked = [descriptor] if one else list(descriptor)
        asked = [checked_descriptor(each) for each in asked]
        if len({len(each) for each in asked}) != 1 or len(asked) > MOST_ASKED:
            raise BankError(f"a row is 1 to {MOST_ASKED} descriptors of one length")
        limit = checked_limit(limit)
        with self._use_at_once():
            if len(asked) == 1:
                ranked = alike(self._db, self._descriptors, *asked, **conditions)
            else:
                ranked = voted(self._db, self._descriptors, asked, **conditions)
            return self._best(ranked, limit)

    def find_labelled_alike(
        self, label: str, *, limit: int = 10, **conditions: object
    ) -> list[tuple[Frame, float]]:
        """The frames without any label that look as those with this one do, the likeliest first,
        with the probability, 0 to 1, that they show the same.

        It is learned, from the descriptors of frames with this and other labels and of some of the
        rest, each time anew: in milliseconds, and in some 3 s where there are a million.
        `conditions` are those of `find`, and what is left out is what `find_like` leaves out.

        Raises:
            BankError: no frame has the label, or none of them a descriptor.
        """
        limit = checked_limit(limit)
        with self._use_at_once():
            ranked = labelled_alike(self._db, self._descriptors, label, **conditions)
            return self._best(ranked, limit)

    def _best(self, ranked: Iterator[tuple[int, float]], limit: int) -> list[tuple[Frame, float]]:
        """The first readable frames of (id, score) by descriptors, with their scores."""
        found, gone, references = [], [], References(self._db)
        for frame_id, score in ranked:
            if len(found) == limit:
                break
            try:
                frame = queries.read_frame(self._db, frame_id, references)
            except queries.DamagedFrame as error:
                log.warning("%s: %s", self.path, error)
                continue
            if frame is None:
                gone.append(frame_id)
            else:
                found.append((frame, score))
        self._descriptors.drop(gone)
        return found

    def loop_candidates(
        self, of: int | bytes, *, limit: int = 10, apart_s: float = 10.0, **conditions: object
    ) -> list[tuple[Frame, float]]:
        """Where a frame may have been taken before: the likest frame of each place, the likeliest
        first, each with the probability, 0 to 1, that it is the same place.

        `of` is the frame's id, or a descriptor, of which less is known: with an id the frames
        around both are compared, too. Frames of its session within `apart_s` seconds of it are left
        out, and so are, of the candidates, those within as much of a better one, or by their poses
        within 2 m of it in the same session or map. `conditions` are those of `find`. A frame
        without descriptor has no candidates.

        Raises:
            BankError: there is no such frame, or its descriptor is damaged.
        """
        limit = checked_limit(limit)
        if not isinstance(apart_s, (int, float)) or not 0 <= apart_s < INT64 / 1e9:
            raise BankError(f"apart_s must be at least 0, in s, not {apart_s!r}")
        if isinstance(of, (bytes, bytearray, memoryview)):
            of = checked_descriptor(of)
        else:
            of = checked_int("frame id", of)
        with self._use_at_once():
            if isinstance(of, int):
                self.descriptor(of)  # or an error that says why not
            apart_ns = round(apart_s * 1e9)
            found, references = [], References(self._db)
            for frame_id, score in loops.candidates(
                self._db, self._descriptors, of, limit, apart_ns, **conditions
            ):
                found += ((frame, score) for frame in self._readable([frame_id], references))
            return found

    def window(self, frame_id: int, radius: int) -> list[Frame]:
        """A frame with at most `radius` frames of its camera and session before and after it, by
        stamp and id.

        Damaged frames around it are skipped.

        Raises:
            BankError: there is no such frame, or it is damaged.
        """
        if checked_int("radius", radius) < 0:
            raise BankError(f"radius must be at least 0, not {radius}")
        with self._use_at_once():
            center = self.get(frame_id)
            sides, references = [], References(self._db)
            for sign in (-1, 1):
                with closing(queries.around(self._db, center, sign)) as ids:
                    sides.append(list(islice(self._readable(ids, references), radius)))
            before, after = sides
            return [*reversed(before), center, *after]

    def descriptor(self, frame_id: int) -> bytes | None:
        """The descriptor that a frame was stored with, None if without.

        Raises:
            BankError: there is no such frame, or its descriptor is damaged.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use():
            self._check_frame(frame_id)
            return read_descriptor(self._db, frame_id)

    def row(self, frame_id: int, count: int) -> list[bytes]:
        """The descriptors of at most `count` frames in a row of one camera and session, as
        `find_like` takes them: of this one, which comes last, and of those before it that have any
        of its length.

        Raises:
            BankError: there is no such frame, or its descriptor is damaged, or it has none.
        """
        if not 1 <= checked_int("count", count) <= MOST_ASKED:
            raise BankError(f"a row has 1 to {MOST_ASKED} frames, not {count}")
        with self._use_at_once():
            own = self.descriptor(frame_id)
            if own is None:
                raise BankError(f"frame {frame_id} was stored without a descriptor")
            found = [own]
            with closing(queries.around(self._db, self.get(frame_id), -1)) as ids:
                for other in islice(ids, count - 1):
                    try:
                        descriptor = read_descriptor(self._db, other)
                    except queries.DamagedFrame as error:
                        log.warning("%s: %s", self.path, error)
                        continue
                    if len(descriptor or b"") == len(own):
                        found.append(descriptor)
            return found[::-1]

    def descriptor_length(self) -> int | None:
        """Bytes of the descriptor stored last, which say of which kind it is; None: there is none.
        Nothing of another length can be found by one.
        """
        with self._use():
            return last_length(self._db)

    def calibration(self, session: int, camera: str) -> dict | None:
        """What `set_calibration` was given for a camera in a session, None if nothing."""
        with self._use():
            return queries.read_calibration(self._db, session, camera)


def checked_limit(limit: int) -> int:
    """`limit` if it is a whole number of at least 1."""
    limit = checked_int("limit", limit)
    if limit < 1:
        raise BankError(f"limit must be at least 1, not {limit}")
    return limit
