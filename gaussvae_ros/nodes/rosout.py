"""The log lines of this package, which go to a node's log."""

import logging

from rclpy.node import Node


def log_through(node: Node) -> None:
    """Let the node say from now on what any module of this package logs."""
    log = logging.getLogger("gaussvae_ros")
    log.addHandler(_ToRosout(node))
    log.propagate = False


class _ToRosout(logging.Handler):
    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if record.levelno >= logging.ERROR:  # a line each: rclpy allows a line one severity
                self._logger.error(text)
            elif record.levelno >= logging.WARNING:
                self._logger.warning(text)
            else:
                self._logger.info(text)
        except Exception:  # a line that cannot be said must not cost what it is about
            self.handleError(record)
