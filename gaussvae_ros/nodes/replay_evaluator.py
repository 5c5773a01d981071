"""A bag through the two nodes, measured: played, stored, recalled through the service, compared
with the originals.

launch/replay.launch.py starts it beside the nodes, which it configures, activates and in the end
deactivates.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import defaultdict, deque
from pathlib import Path
from types import SimpleNamespace

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.signals import SignalHandlerOptions

from gaussvae_ros.bags import Bag
from gaussvae_ros.cli.show import replayed, warn
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BagError, ConfigError, GaussVaeError, RecallError
from gaussvae_ros.evaluation.rate_distortion import Setting
from gaussvae_ros.evaluation.recalls import Recalls
from gaussvae_ros.files import printable
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes import player
from gaussvae_ros.nodes.client import MemoryClient
from gaussvae_ros.nodes.convert import stamp_ns
from gaussvae_ros.nodes.settings import encoding
from gaussvae_ros.sessions import Sessions

MEMORY, RECALL = "visual_memory", "visual_recall"
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
WAIT_S = 60.0  # for an answer of a node, which may load its model first or store what waits
SETTLE_S = 1.0  # for the last images to arrive, and TF of just after them
PAGE = 1000  # frames that one call finds at most
COUNTS = ("received", "gated", "dropped")
ASKED = "tier", "quality", "effort", "predict", "device", "model", "map_frame"  # parameters


class Nodes:
    """The two nodes as a lifecycle manager sees them; a context manager."""

    def __init__(self) -> None:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("replay_evaluator")

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: object) -> None:
        self._node.destroy_node()
        rclpy.try_shutdown()

    def change(self, name: str, *steps: str) -> None:
        """Take a node through transitions. Raises ConfigError if one fails."""
        for step in steps:
            request = ChangeState.Request()
            request.transition.id = TRANSITIONS[step]
            if not self._ask(ChangeState, f"{name}/change_state", request).success:
                raise ConfigError(f"{name} did not {step}; its message above says why")

    def parameters(self, name: str, *wanted: str) -> SimpleNamespace:
        """What some of a node's parameters are."""
        answer = self._ask(
            GetParameters, f"{name}/get_parameters", GetParameters.Request(names=wanted)
        )
        return SimpleNamespace(**dict(zip(wanted, map(parameter_value_to_python, answer.values))))

    def _ask(self, kind: type, service: str, request: object) -> object:
        client = self._node.create_client(kind, service)
        try:
            if not client.wait_for_service(WAIT_S):
                raise ConfigError(f"no {service} in {WAIT_S:g} s: the node is not there")
            future = client.call_async(request)
            rclpy.spin_until_future_complete(self._node, future, timeout_sec=WAIT_S)
            if not future.done():
                raise ConfigError(f"no answer from {service} in {WAIT_S:g} s")
            return future.result()
        finally:
            self._node.destroy_client(client)


def evaluate(bag: Bag, chosen: player.Part, rate: float, compare: int, report: Path) -> dict:
    """Play a bag into the nodes and measure what they recall.

    Returns:
        What `gaussvae_ros.replay.replay` returns (encode_ms is None: the node's own figure is on
        /diagnostics), and images (in the bag), rate, received, gated, dropped, lost (between `ros2
        bag play` and the node) and stored.

    Raises:
        BagError: the bag cannot be played, or nothing of it came back.
        ConfigError, RecallError: a node did not do its part.
    """
    with Nodes() as nodes, MemoryClient(timeout_s=WAIT_S) as client:
        nodes.change(RECALL, "configure", "activate")
        nodes.change(MEMORY, "configure", "activate")
        told = nodes.parameters(MEMORY, *ASKED)
        codec, how = FrameCodec(told.device, told.model), encoding(told)
        earlier = {session.id for session in client.describe().sessions}
        print(f"playing {chosen.images} images of {chosen.topic} at rate {rate:g}", flush=True)
        with tempfile.TemporaryDirectory(prefix=".play-", dir=report) as folder:
            player.play(bag, chosen, rate, Path(folder))
        _end_at_once()
        time.sleep(SETTLE_S)
        nodes.change(MEMORY, "deactivate")  # when that is done, all that waited is stored
        sessions = [session for session in client.describe().sessions if session.id not in earlier]
        counts = {name: sum(getattr(session, name) for session in sessions) for name in COUNTS}
        stored = [_frames(client, session.id, chosen.topic) for session in sessions]
        counts |= {
            "lost": max(chosen.images - counts["received"], 0),
            "stored": sum(map(len, stored)),
        }
        _check(chosen, counts)
        print(f"{_sentence(chosen, counts)}; recalling them", flush=True)
        recalls = Recalls(
            codec, Setting(how["effort"], how["quality"]), counts["stored"], compare, curves=True
        )
        _recall(recalls, bag, chosen.topic, stored, client)
        # The reader first, so that the writer leaves one whole file.
        nodes.change(RECALL, "deactivate", "cleanup")
        nodes.change(MEMORY, "cleanup")
    figures = recalls.figures()
    poses = f"TF in {told.map_frame}" if figures["with_pose"] else None
    result = {
        "bag": printable(bag.path),
        "topic": chosen.topic,
        "quality": how["quality"],
        "poses": poses,
        **figures,
    }
    result |= {"images": chosen.images, "rate": rate, **counts}
    facts = {
        "played at rate": rate,
        "images in the bag": chosen.images,
        "lost before they were received": counts["lost"],
        **{f"images {name}": counts[name] for name in (*COUNTS, "stored")},
    }
    return {**result, "report": str(recalls.write_report(report, result, facts))}


def _end_at_once() -> None:
    """From now on signals need nothing put away, and must not wait for a peer's encoder, which
    takes seconds.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _frames(client: MemoryClient, session: int, camera: str) -> list[MemoryFrame]:
    """The frames of a session, in the order in which they were stored."""
    found: dict[int, MemoryFrame] = {}
    while True:
        last = max((stamp_ns(frame.header.stamp) for frame in found.values()), default=0)
        page = client.find(session=session, camera=camera, after_ns=last, limit=PAGE)
        known = len(found)
        found |= {frame.id: frame for frame, _ in page}
        if len(page) < PAGE or len(found) == known:
            return [found[id] for id in sorted(found)]


def _recall(
    recalls: Recalls, bag: Bag, topic: str, stored: list[list[MemoryFrame]], client: MemoryClient
) -> None:
    """Recall every frame and measure it beside the image of its stamp, in the order of the bag."""
    waiting: dict[tuple[int, int], deque[MemoryFrame]] = defaultdict(deque)  # (session, ns)
    for session, frames in enumerate(stored):
        for frame in frames:
            waiting[session, stamp_ns(frame.header.stamp)].append(frame)
    sessions = Sessions()
    for number, image in enumerate(bag.images(topic)):
        session = sessions.number_of(topic, image.stamp_ns)
        if image.pixels is None:
            recalls.skip(f"image {number} of the bag at {image.stamp_ns} ns: {image.problem}")
            continue
        frames = waiting[session, image.stamp_ns]
        if not frames:
            continue
        frame = frames.popleft()
        begun = time.perf_counter()
        try:
            recalled = client.recall(frame.id).image
        except RecallError as error:
            recalls.skip(f"frame {frame.id} at {image.stamp_ns} ns: {error}")
            continue
        recall_ms = 1e3 * (time.perf_counter() - begun)
        recalls.take(
            len(recalls.ids),
            image,
            recalled if image.pixels.ndim == 3 else recalled[..., 0],
            session=session,
            frame_id=frame.id,
            size=frame.bytes,
            has_pose=frame.has_pose,
            recall_ms=recall_ms,
        )
    for frame in (frame for frames in waiting.values() for frame in frames):
        recalls.skip(
            f"frame {frame.id} at {stamp_ns(frame.header.stamp)} ns has the stamp of no image in"
            " the bag"
        )
    recalls.problems.include(bag.faults)
    if not recalls.ids:
        why = next(iter(recalls.problems.texts()), "it is empty")
        raise BagError(f"no frame could be compared with an image of the bag: {why}")


def _check(chosen: player.Part, counts: dict[str, int]) -> None:
    """Raises BagError if nothing came through."""
    if not counts["received"] and not counts["stored"]:
        raise BagError(
            f"nothing came through: of {chosen.images} images on {chosen.node_topic} none was"
            " stored"
        )
    if not counts["stored"]:
        raise BagError(f"no frame was stored: {_sentence(chosen, counts)}")


def _sentence(chosen: player.Part, counts: dict[str, int]) -> str:
    said = ", ".join(f"{counts[name]} {name}" for name in (*COUNTS, "stored"))
    lost = f"{counts['lost']} lost before they were received"
    return f"{chosen.images} images in the bag, {lost}, {said}"


def _interrupt(*_: object) -> None:
    """Once: the signal of launch comes after that of the terminal, while things are put away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


def main() -> int:
    """Exit code 0; 2 after one line on stderr; 130 on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="replay_evaluator", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("bag", type=Path)
    parser.add_argument("--topic", default="", help="of the images; default: the only one")
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--compare", type=int, default=8, help="frames that JPEG and WebP get, too")
    parser.add_argument("--report", type=Path, default=Path("replay_report"), help="a folder")
    parser.add_argument(
        "--plan", action="store_true", help="only say, as JSON, how the nodes are to be started"
    )
    args = parser.parse_args()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if args.rate <= 0 or args.compare < 0:
            raise ConfigError("rate must be above 0 and compare at least 0")
        with Bag(args.bag) as bag:
            chosen = player.part(bag, args.topic or None)
            if args.plan:
                told = {
                    "topic": chosen.topic,
                    "node_topic": chosen.node_topic,
                    "transport": chosen.transport,
                }
                print(json.dumps({**told, "map_frame": player.root(bag, chosen.topic)}))
                return 0
            args.report.mkdir(parents=True, exist_ok=True)
            result = evaluate(bag, chosen, args.rate, args.compare, args.report)
        (args.report / "replay.json").write_text(json.dumps(result, indent=1) + "\n")
        warn(result["problems"])
        replayed(result)
    except (GaussVaeError, OSError) as error:
        print(f"replay_evaluator: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        _end_at_once()
        return 130
    return 0
