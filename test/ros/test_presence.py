"""A node knows of an older one of its name, also where the graph shows that one late."""

import time

import rclpy
from graph import Ros

from gaussvae_ros.nodes.presence import Presence


def until(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_older_node_that_the_graph_shows_late_is_not_forgotten(ros: Ros, monkeypatch) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros.domain)
    try:
        nodes = [rclpy.create_node("twin", context=context) for _ in range(2)]
        older, younger = (Presence(node) for node in nodes)
        monkeypatch.setattr(nodes[1], "count_publishers", lambda topic: 1)  # its own
        until(lambda: younger.known_conflict() == "" and younger._older is not None)
        monkeypatch.undo()
        until(lambda: "runs already" in younger.known_conflict())
        assert older.known_conflict() == ""
        nodes[0].destroy_node()
        until(lambda: younger.known_conflict() == "")
    finally:
        rclpy.try_shutdown(context=context)
