"""What the memory node says of itself on /diagnostics: figures, and warnings that say what to
do.
"""

import math
import shutil
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from gaussvae_ros.nodes.counters import COUNTS
from gaussvae_ros.nodes.forgetting import BudgetState
from gaussvae_ros.sessions import LATE_NS

WINDOW = 10  # statuses, one a second, that rates and warnings look back on
GROWTH = 600  # statuses that the bank's growth is measured over
SETTLED = 30  # of them at least
WARN_HOURS, ERROR_HOURS = 24.0, 1.0  # of disk left
FEW = 3  # images in WINDOW, of which fewer may be chance
ARRIVING = 0.8  # of the images at least, else they are lost
ALIEN_S = 3600.0  # stamps this far from the node's clock are of another one

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Verdict = tuple[bytes, str]  # a level, and why in a sentence


@dataclass
class CameraState:
    """What is known of a camera when a status is made."""

    name: str
    topic: str
    counts: dict[str, int]  # see counters.py
    keys: tuple[int, float | None]  # records that need no other, and their mean bytes
    predicted: tuple[int, float | None]  # the others
    encode_s: float | None
    latency_s: float | None
    # Since its last image, or since the node was activated; None: not active.
    silence_s: float | None
    paused: bool
    others: list[str]  # types other than ours that are published on the topic
    publishers: list[str]  # nodes that publish ours
    type_name: str  # ours
    behind_s: float = 0.0  # how far the last image out of order was behind the one before it
    announced: int = 0  # camera_infos that came since the node was activated
    reliability: str = ""  # of the subscription; empty: not active
    refusal: str = ""  # why the last image that could not be decoded could not
    no_pose: str = ""  # why the last frame without a pose has none


@dataclass
class MemoryState:
    """What is known of the bank when a status is made."""

    path: Path
    bytes: int | None  # None: it cannot be read now
    refusal: str  # why it takes nothing, empty if it does
    lost: str  # what became of the file before this one, if that is news
    waiting: int  # frames that it has not taken yet
    faults: int  # exceptions that nobody foresaw
    fault: str  # what is to be said of the last one, if it is fresh
    budget: BudgetState = BudgetState()
    refused: int = 0  # frames, because the memory is full


@dataclass
class History:
    """What earlier statuses said. Made where counting begins."""

    begun: float = field(default_factory=time.monotonic)  # s
    cameras: dict[str, deque] = field(default_factory=dict)  # name: (s, counts, camera_infos)
    growth: deque = field(default_factory=lambda: deque(maxlen=GROWTH))  # (s, bytes)


def camera_status(
    node: str, state: CameraState, history: History, image_timeout: float
) -> DiagnosticStatus:
    """One camera's; `history` takes note of it."""
    none = (history.begun, dict.fromkeys(COUNTS, 0), 0)
    past = history.cameras.setdefault(state.name, deque([none], maxlen=WINDOW + 1))
    past.append((time.monotonic(), state.counts, state.announced))
    (begun, before, told), (now, _, _) = past[0], past[-1]
    recent = {what: state.counts[what] - before[what] for what in COUNTS}
    level, message = _judge_camera(state, recent, max(state.announced - told, 0), image_timeout)
    seconds = now - begun
    values = {
        "topic": state.topic,
        "reliability": state.reliability,
        "publishers": ", ".join(state.publishers),
        **{what.replace("_", " "): state.counts[what] for what in COUNTS},
        "keys": state.keys[0],
        "bytes of a key": _rounded(state.keys[1]),
        "bytes of a predicted record": _rounded(state.predicted[1]),
        "received Hz": f"{recent['received'] / seconds:.1f}",
        "stored Hz": f"{recent['stored'] / seconds:.1f}",
        "encode ms": _milliseconds(state.encode_s),
        "latency ms": "stamps are of another clock"
        if _is_alien(state.latency_s)
        else _milliseconds(state.latency_s),
    }
    return status(f"{node}: {state.name}", state.topic, level, message, values)


def memory_status(node: str, state: MemoryState, history: History) -> DiagnosticStatus:
    """The bank's; `history` takes note of it."""
    growth = _growth(state, history.growth)
    free = _free(state.path)
    hours = _hours(state, free, growth)
    level, message = _judge_memory(state, hours)
    share = state.budget.share
    values = {
        "path": state.path,
        "bytes": "" if state.bytes is None else state.bytes,
        "frames waiting": state.waiting,
        "bytes per hour": "" if growth is None else round(growth),
        "free bytes": "" if free is None else free,
        "hours of disk left": "" if hours is None else f"{hours:.1f}",
        "percent of the budget": "" if share is None else f"{100 * share:.1f}",
        "forgotten": state.budget.removed,
        "encoded again": state.budget.reencoded,
        "internal errors": state.faults,
    }
    return status(f"{node}: memory", str(state.path), level, message, values)


def _judge_camera(
    state: CameraState, recent: dict[str, int], announced: int, image_timeout: float
) -> Verdict:
    if state.silence_s is None:
        return OK, "not active"
    if state.silence_s > image_timeout:
        return (
            WARN,
            f"no image on {state.topic} for {state.silence_s:.0f} s:"
            f" {_why_silent(state, announced)}",
        )
    if recent["received"] and recent["bad"] == recent["received"]:
        return ERROR, f"no image on {state.topic} can be decoded: {state.refusal}"
    if recent["failed"]:
        return WARN, f"{recent['failed']} frames could not be stored: see the log for the reason"
    if _clocks_differ(state, recent["out_of_order"]):
        return WARN, (
            f"the stamps on {state.topic} jump to and fro by {state.behind_s:.1f} s, published by"
            f" {' and '.join(state.publishers)}: give each publisher a topic of its own, or all"
            " one clock"
        )
    if announced >= FEW and recent["received"] < ARRIVING * announced:
        return WARN, (
            f"{recent['received']} images arrived and {announced} camera_infos, so images are"
            " lost on the way:"
            f" {_remedy(state)}"
        )
    if recent["dropped"]:
        return WARN, (
            f"{recent['dropped']} frames dropped, because encoding one takes"
            f" {_milliseconds(state.encode_s)} ms:"
            " lower quality, or raise min_interval"
        )
    if recent["bad"]:
        return WARN, f"{recent['bad']} images could not be decoded: {state.refusal}"
    if recent["poses_missing"]:
        return WARN, f"{recent['poses_missing']} frames without a pose: {state.no_pose}"
    return OK, "paused" if state.paused else "remembering"


def _clocks_differ(state: CameraState, out_of_order: int) -> bool:
    """Whether the images out of order are more than late ones."""
    return out_of_order >= FEW and (len(state.publishers) > 1 or state.behind_s > LATE_NS / 1e9)


def _why_silent(state: CameraState, announced: int) -> str:
    if state.others:
        wants = "compressed" if "sensor_msgs/msg/CompressedImage" in state.others else "raw"
        hint = (
            f"set image_transport to {wants}"
            if "Image" in state.others[0]
            else "remap image to a camera's topic"
        )
        return f"{', '.join(state.others)} is published there and not {state.type_name}: {hint}"
    if not state.publishers:
        return "nobody publishes it; start the camera, or remap image"
    if announced:
        return f"its camera_info comes, so images are lost on the way: {_remedy(state)}"
    return (
        "its publisher is silent, or its images are lost on the way: see the DDS settings in"
        " docs/ros.md"
    )


def _remedy(state: CameraState) -> str:
    if state.reliability == "reliable":
        return "let DDS buffer more, see docs/ros.md, or publish compressed images"
    return (
        "let its publisher and image_reliability be reliable, or DDS buffer more, see docs/ros.md"
    )


def _judge_memory(state: MemoryState, hours: float | None) -> Verdict:
    if state.refusal:
        return ERROR, f"the memory takes no frames, and {state.waiting} wait: {state.refusal}"
    if state.lost:
        return ERROR, state.lost
    if state.fault:
        return ERROR, state.fault
    if state.budget.why:
        if state.budget.budget.policy == "stop":
            return (
                ERROR,
                f"nothing new is remembered: {state.budget.why}; {state.refused} frames refused",
            )
        return WARN, f"the memory is larger than its budget: {state.budget.why}"
    if hours is not None and hours < WARN_HOURS:
        return (
            ERROR if hours < ERROR_HOURS else WARN,
            f"the disk is full in {hours:.1f} hours: make room or lower quality",
        )
    return OK, "writing"


def _growth(state: MemoryState, past: deque) -> float | None:
    """Bytes an hour, None while that cannot be told."""
    if state.bytes is None or (past and state.bytes < past[-1][1]):  # another file
        past.clear()
    if state.bytes is None:
        return None
    past.append((time.monotonic(), state.bytes))
    (begun, before), (now, _) = past[0], past[-1]
    return (state.bytes - before) / (now - begun) * 3600 if len(past) >= SETTLED else None


def _hours(state: MemoryState, free: int | None, growth: float | None) -> float | None:
    """Until the disk is full, None while that cannot be told; inf where the budget keeps it from
    that.
    """
    budget = state.budget.budget
    if free is None or state.bytes is None or not growth:
        return None
    forgets = budget.policy != "stop" and not state.budget.why
    if forgets and (budget.min_free_bytes or 0 < budget.max_bytes <= state.bytes + free):
        return math.inf
    return free / growth


def _free(path: Path) -> int | None:
    """Bytes on the disk of a file, None where its folder is gone."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None


def _is_alien(latency_s: float | None) -> bool:
    return latency_s is not None and abs(latency_s) > ALIEN_S


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _milliseconds(seconds: float | None) -> str:
    return _rounded(None if seconds is None else seconds * 1000)


def status(name: str, hardware: str, level: bytes, message: str, values: dict) -> DiagnosticStatus:
    """A status with values of any type."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(
        level=level, name=name, message=message, hardware_id=hardware, values=pairs
    )
