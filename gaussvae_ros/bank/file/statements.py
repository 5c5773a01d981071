"""The SQL that changes a memory file, each with its parameters checked."""

import json

from gaussvae_ros.bank.file.schema import POSE, TALLY
from gaussvae_ros.bank.frame import (
    Pose,
    checked_int,
    checked_label,
    checked_map,
    name_from_outside,
)
from gaussvae_ros.errors import BankError

ADD_SESSION = "INSERT INTO sessions (id, name, start_ns, map_id) VALUES (?, ?, ?, ?)"
ADD_FRAME = """
    INSERT INTO frames (id, stamp_ns, camera, session, width, height, tier, checksum, reference)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ADD_RECORD = "INSERT INTO records VALUES (?, ?)"
ADD_DESCRIPTOR = "INSERT INTO descriptors VALUES (?, ?, ?)"
SET_DESCRIPTOR = "INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)"
KEEP = "INSERT INTO kept (frame, reference, record) VALUES (?, ?, ?)"
REMOVE = "DELETE FROM frames WHERE id = ?"
REPLACE_FRAME = "UPDATE frames SET tier = ?, checksum = ?, reference = ? WHERE id = ?"
REPLACE_RECORD = "UPDATE records SET record = ? WHERE frame = ?"
ADD_MODEL = "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?)"
SET_POSE = (
    "INSERT INTO poses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(frame) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in POSE)
)
_SET_LABEL = (
    "INSERT INTO labels VALUES (?, ?) ON CONFLICT(frame) DO UPDATE SET label = excluded.label"
)
_SET_CAMERA = """
    INSERT INTO cameras (session, camera, {0}) VALUES (?, ?, ?)
    ON CONFLICT(session, camera) DO UPDATE SET {0} = excluded.{0}
"""
_SET_TALLY = f"UPDATE sessions SET {', '.join(f'{count} = ?' for count in TALLY)} WHERE id = ?"

Statement = tuple[str, tuple]  # SQL and its parameters


def pose_statement(frame_id: int, pose: Pose) -> Statement:
    """Gives a frame its pose."""
    if not isinstance(pose, Pose):
        raise BankError(f"a pose is a Pose, not {type(pose).__name__}")
    return SET_POSE, (frame_id, *pose.position, *pose.orientation, pose.reference)


def map_statement(session: int, map_id: str) -> Statement:
    """Says which map the poses of a session are in."""
    return "UPDATE sessions SET map_id = ? WHERE id = ?", (checked_map(map_id), session)


def label_statement(frame_id: int, label: str | None) -> Statement:
    """Gives a frame its label, None takes it away."""
    if label is None:
        return "DELETE FROM labels WHERE frame = ?", (frame_id,)
    return _SET_LABEL, (frame_id, checked_label(label))


def camera_frame_statement(session: int, camera: str, frame_id: str) -> Statement:
    """Says which coordinate frame a camera's pictures of a session are in."""
    return _SET_CAMERA.format("frame_id"), (
        session,
        camera,
        name_from_outside("frame_id", frame_id),
    )


def calibration_statement(session: int, camera: str, calibration: dict) -> Statement:
    """Gives a camera its calibration in a session."""
    if not isinstance(calibration, dict):
        raise BankError(f"a calibration is a dict, not {type(calibration).__name__}")
    try:
        text = json.dumps(calibration, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise BankError(f"calibration cannot be written as JSON: {error}") from error
    return _SET_CAMERA.format("calibration"), (session, camera, text)


def tally_statement(session: int, tally: dict[str, int]) -> Statement:
    """Sets what a session counted."""
    if not isinstance(tally, dict) or set(tally) != set(TALLY):
        raise BankError(f"a tally counts {', '.join(TALLY)}, not {tally!r}")
    counts = [checked_int(name, tally[name]) for name in TALLY]
    if min(counts) < 0:
        raise BankError(f"a tally counts from 0 on: {tally!r}")
    return _SET_TALLY, (*counts, session)
