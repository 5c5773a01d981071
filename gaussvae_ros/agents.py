"""A memory file as tools of the Model Context Protocol, with which agents look into it; nothing can
be changed by them. Needs the extra `mcp`.
"""

from collections.abc import Callable
from datetime import datetime, timezone
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import ConfigError, GaussVaeError
from gaussvae_ros.extras import install
from gaussvae_ros.looking.encoder import Encoder

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

MOST = 200  # frames of an answer
WIDEST = 2048  # px of a picture
ABOUT = (
    "The visual memory of a robot: camera frames with time, pose and words that were read in them."
    " find says which frames there are, recall shows one, describe what there is as a whole."
)


def serve(path: str | Path, encoder: str | None = None) -> None:
    """Answer on standard input and output until the input ends.

    Raises:
        ConfigError: the extra is not installed, or `encoder` is the file of none.
        BankError: the memory cannot be opened.
    """
    if find_spec("mcp") is None:
        raise ConfigError(f"gaussvae mcp takes mcp: {install('mcp')}")
    with MemoryBank(path, readonly=True) as bank:
        codec = FrameCodec(device="cpu", models=[bank])
        server_of(bank, codec, Encoder(encoder) if encoder else None).run()


def server_of(bank: MemoryBank, codec: FrameCodec, encoder: Encoder | None) -> "MCPServer":
    """The tools, over a memory that is open."""
    from mcp.server.mcpserver import Image, MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations
    from pydantic import Field

    server = MCPServer("gaussvae_ros", instructions=ABOUT, log_level="ERROR")
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)

    def tool(function: Callable) -> Callable:
        """Offer a function, what it refuses with as the tool's own answer."""

        @wraps(function)
        def told(**given: object) -> object:
            try:
                return function(**given)
            except GaussVaeError as error:
                raise ToolError(str(error)) from error

        return server.tool(annotations=reads)(told)

    @tool
    def describe() -> dict:
        """What the memory holds: frames, cameras, sessions with their spans of time, labels, bounds
        of the poses in m, texts that were read, encoders whose vectors frames have.
        """
        info = bank.info()
        for facts in (info, *info["sessions"]):
            for end in ("first", "last", "start"):
                if (stamp := facts.pop(f"{end}_ns", None)) is not None:
                    facts[end] = _time(stamp)
        return {**info, "encoders": bank.encoders()}

    @tool
    def find(
        text: Annotated[str, Field(description="words read in it, in its label or session")] = "",
        label: Annotated[str, Field(description="exactly this one")] = "",
        after: Annotated[str, Field(description="ISO 8601, UTC unless it says, or ns")] = "",
        before: Annotated[str, Field(description="likewise")] = "",
        near: Annotated[list[float], Field(description="x, y, z in m; with radius")] = [],
        radius: Annotated[float, Field(description="m around near")] = 0.0,
        camera: str = "",
        session: Annotated[int, Field(description="its id; 0: any")] = 0,
        like_id: Annotated[int, Field(description="most like this frame first; 0: none")] = 0,
        like_text: Annotated[str, Field(description="what it shows; takes an encoder")] = "",
        limit: Annotated[int, Field(ge=1, le=MOST)] = 20,
    ) -> dict:
        """Frames that meet every condition given, by time; with near by distance, with like_id or
        like_text the likest first, each with its score.
        """
        conditions = {
            "text": text or None,
            "label": label or None,
            "after": _stamp(after),
            "before": _stamp(before),
            "camera": camera or None,
            "session": session or None,
            "near": tuple(near) or None,
            "radius": radius or None,
        }
        if like_id and like_text:
            raise GaussVaeError("likeness is asked for by like_id or like_text, not by both")
        if like_text:
            if encoder is None:
                raise GaussVaeError("like_text takes an encoder: gaussvae mcp BANK --encoder YAML")
            found = encoder.find(bank, like_text, limit, **conditions)
        elif like_id:
            if (descriptor := bank.descriptor(like_id)) is None:
                raise GaussVaeError(f"frame {like_id} was stored without a descriptor")
            found = bank.find_like(descriptor, limit=limit, **conditions)
        else:
            frames = bank.find(**conditions, limit=limit, nearest_first=bool(near))
            return {"frames": [_facts(bank, frame) for frame in frames]}
        return {"frames": [{**_facts(bank, f), "score": round(s, 3)} for f, s in found]}

    @tool
    def recall(
        id: Annotated[int, Field(description="of the frame, as find says")],
        width: Annotated[int, Field(ge=0, le=WIDEST, description="px; 0: as it was")] = 0,
    ) -> list:
        """A frame as a picture, with what is known of it."""
        frame = bank.get(id)
        w, h = frame.size
        width = width or min(w, WIDEST)
        picture = codec.decode(frame.records, size=(width, max(round(h * width / w), 1)))
        return [Image(data=_jpeg(picture), format="jpeg"), _facts(bank, frame)]

    return server


def _facts(bank: MemoryBank, frame: Frame) -> dict:
    """What is known of a frame. Stamps are text: as numbers, JSON may round them."""
    pose = frame.pose
    facts = {
        "id": frame.id,
        "time": _time(frame.stamp_ns),
        "stamp_ns": str(frame.stamp_ns),
        "camera": frame.camera,
        "session": frame.session,
        "size": list(frame.size),
        "label": frame.label,
        "position_m": pose and [round(value, 3) for value in pose.position],
        "orientation_xyzw": pose and [round(value, 4) for value in pose.orientation],
        "reference": pose and pose.reference,
        "map_id": frame.map_id or None,
        "texts": [text.text for text in bank.texts(frame.id)],
    }
    return {name: value for name, value in facts.items() if value not in (None, [])}


def _time(stamp_ns: int) -> str:
    """A stamp as ISO 8601, or in s where no calendar has it."""
    try:
        seconds = datetime.fromtimestamp(stamp_ns // 10**9, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{stamp_ns / 1e9:.3f} s"
    return f"{seconds:%Y-%m-%dT%H:%M:%S}.{stamp_ns % 10**9 // 10**6:03d}Z"


def _stamp(text: str) -> int | None:
    """ns, of what is a time or a number of ns; None of nothing."""
    if not text:
        return None
    try:
        if text.removeprefix("-").isdecimal():
            return int(text)
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        said = f"{text[:40]!r} is no time of ISO 8601, nor a number of ns"
        raise GaussVaeError(said) from error
    time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    whole = time.replace(microsecond=0)
    return round(whole.timestamp()) * 10**9 + time.microsecond * 1000


def _jpeg(image: np.ndarray) -> bytes:
    import cv2

    swapped = image[..., ::-1] if image.ndim == 3 else image
    return cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
