"""A memory as tools for agents, asked by the SDK's own client over a pipe."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_bank_likeness import descriptor, record

from gaussvae_ros import agents
from gaussvae_ros.bank import MemoryBank, Pose, Text
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec

pytest.importorskip("mcp")
ROOT = Path(__file__).parents[1]
SECOND = 1_000_000_000
RUN = ["-c", "from gaussvae_ros.cli import main; raise SystemExit(main())", "mcp"]
BEGIN = 1_700_000_000 * SECOND  # 2023-11-14T22:13:20Z
REFUSED = [
    ("find", {"after": "yesterday"}, "no time of ISO 8601"),
    ("find", {"after": "--5"}, "no time of ISO 8601"),
    ("find", {"before": "9" * 5000}, "no time of ISO 8601"),
    ("find", {"near": [0, 0, 0]}, "near and radius go together"),
    ("find", {"radius": 1}, "near and radius go together"),
    ("find", {"text": "..."}, "which words?"),
    ("recall", {"id": 99}, "no frame 99"),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.db"
    image = np.full((120, 160, 3), (200, 30, 30), np.uint8)
    with MemoryBank(path) as bank:
        bank.begin_session("monday tour", start_ns=BEGIN)
        for k in range(3):
            bank.add(
                FrameCodec(device="cpu").encode(image) if k == 1 else record(k),
                stamp_ns=BEGIN + k * SECOND,
                camera="front",
                pose=Pose(2 * k, 0, 0),
                descriptor=descriptor(k),
            )
        bank.set_texts(2, [Text("Fire exit", (1, 2, 30, 10), 0.9)])
        bank.set_label(3, "dock")
    return path


def asked(path: Path, *calls: tuple[str, dict]) -> list:
    """What the tools answer, and first which there are."""
    import anyio
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def ask():
        there = StdioServerParameters(command=sys.executable, args=[*RUN, str(path)], cwd=str(ROOT))
        async with stdio_client(there) as ends, ClientSession(*ends) as session:
            await session.initialize()
            answers = [(await session.list_tools()).tools]
            answers += [await session.call_tool(name, given) for name, given in calls]
            return answers

    return anyio.run(ask)


def test_agents_find_and_see_frames_and_change_nothing(path):
    before = path.read_bytes()
    whole = {"after": "2023-11-14T22:13:20.5Z", "before": str(BEGIN + SECOND)}
    tools, described, exits, dock, then, near, alike, picture, *refused = asked(
        path,
        ("describe", {}),
        ("find", {"text": "exit"}),
        ("find", {"label": "dock"}),
        ("find", whole),
        ("find", {"near": [3.9, 0, 0], "radius": 2.5}),
        ("find", {"like_id": 3, "limit": 2}),
        ("recall", {"id": 2, "width": 80}),
        *((tool, given) for tool, given, _ in REFUSED),
    )
    assert {tool.name for tool in tools} == {"describe", "find", "recall"}
    assert all(tool.annotations.read_only_hint for tool in tools)
    info = json.loads(described.content[0].text)
    assert info["frames"] == 3 and info["texts"] == 1 and info["labels"] == {"dock": 1}
    assert info["sessions"][0]["first"] == "2023-11-14T22:13:20.000Z"
    [frame] = json.loads(exits.content[0].text)["frames"]
    assert frame["id"] == 2 and frame["texts"] == ["Fire exit"]
    assert frame["stamp_ns"] == str(BEGIN + SECOND) and frame["position_m"] == [2, 0, 0]

    def ids(answer):
        return [frame["id"] for frame in json.loads(answer.content[0].text)["frames"]]

    assert ids(dock) == [3] and ids(then) == [2] and ids(near) == [3, 2] and ids(alike)[0] == 3
    image = picture.content[0]
    assert image.type == "image" and image.mime_type == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(image.data), np.uint8), 1)
    assert shown.shape == (60, 80, 3) and np.abs(shown.mean((0, 1)) - (30, 30, 200)).max() < 12
    assert json.loads(picture.content[1].text)["id"] == 2
    for answer, (_, _, why) in zip(refused, REFUSED, strict=True):
        assert answer.is_error and why in answer.content[0].text
    assert path.read_bytes() == before


def test_what_cannot_be_served_is_one_line(path, monkeypatch, capsys):
    assert main(["mcp", str(path.parent / "gone.db")]) == 2
    assert "does not exist" in capsys.readouterr().err
    monkeypatch.setattr(agents, "find_spec", lambda name: None)
    assert main(["mcp", str(path)]) == 2
    assert "pip install 'gaussvae_ros[mcp]'" in capsys.readouterr().err


def test_it_ends_with_its_input(path):
    command = [sys.executable, *RUN, str(path)]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0 and done.stdout == b""
