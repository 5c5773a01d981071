"""What both nodes share: transitions that fail with one clear line, and a quiet end on SIGINT and SIGTERM."""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.nodes import parameters

WAKE_S = 0.2


class ManagedNode(LifecycleNode):
    """A lifecycle node with a table of parameters. A subclass fills in `configure` to `close`.

    A GaussVaeError lets a transition fail and the node stay as it was. `close` puts back what `configure` and
    `activate` made, also where they came only half way, and may be called in any state.
    """

    def __init__(self, name: str, table: tuple[parameters.Parameter, ...]):
        """Raises ConfigError if the node was started with parameters that it cannot take."""
        super().__init__(name)
        self._table = table
        parameters.declare(
            self, table, lambda: self._state_machine.current_state[0] != State.PRIMARY_STATE_UNCONFIGURED
        )
        self.settings = parameters.values(self, table)
        self.add_post_set_parameters_callback(self._changed)
        # rclpy lets a request for a transition that is not possible now end the process.
        self._request_change, self._service_change_state.callback = self._service_change_state.callback, self._change

    def configure(self) -> None:
        """Get ready."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Stop, with nothing lost."""

    def close(self) -> None:
        """Let go of everything, at once and with nothing lost."""

    def adjust(self) -> None:
        """Take over `settings`, which have changed."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._attempt("configure", self.configure)
        if done != TransitionCallbackReturn.SUCCESS:
            self._attempt("close", self.close)
        return done

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._attempt("activate", self.activate)
        if done != TransitionCallbackReturn.SUCCESS:
            self._attempt("deactivate", self.deactivate)
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("deactivate", self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("clean up", self.close)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("shut down", self.close)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("close after the error", self.close)

    def _attempt(self, what: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
            return TransitionCallbackReturn.SUCCESS
        except GaussVaeError as error:
            self.get_logger().error(f"cannot {what}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would only note that there was one
            if not self.context.ok():  # a signal came meanwhile, and ROS makes nothing any more
                return TransitionCallbackReturn.FAILURE
            logging.getLogger(__name__).exception("cannot %s", what)
            return TransitionCallbackReturn.ERROR

    def _change(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return self._request_change(request, response)
        except rclpy_implementation.RCLError:
            response.success = False
            if self.context.ok():
                wanted = request.transition.label or request.transition.id
                self.get_logger().warning(
                    f"transition {wanted} is not possible while {self._state_machine.current_state[1]}"
                )
            return response

    def _changed(self, _) -> None:
        self.settings = parameters.values(self, self._table)
        self.adjust()


class _ToRosout(logging.Handler):
    """Takes the log lines of this package's other modules to a node's log."""

    def __init__(self, node: ManagedNode):
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.ERROR:  # a line each: rclpy allows a line one severity
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def run(make: Callable[[], ManagedNode], args: list[str] | None = None) -> int:
    """Spin a node until SIGINT or SIGTERM, close it, end the process. Returns the exit code where there is no node."""
    # rclpy ends `spin` on both signals; Python's own handler would raise KeyboardInterrupt in the middle of a commit.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init(args=args)
    try:
        node = make()
    except GaussVaeError as error:
        print(f"{sys.argv[0].rsplit('/', 1)[-1]}: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    except rclpy_implementation.RCLError:
        if rclpy.ok():
            raise
        return 0  # a signal came meanwhile
    log = logging.getLogger("gaussvae_ros")
    log.addHandler(_ToRosout(node))
    log.propagate = False
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    # A signal wakes the executor just before rclpy is no longer ok: it may sleep on, until something else wakes it.
    node.create_timer(WAKE_S, lambda: None, clock=Clock(clock_type=ClockType.STEADY_TIME))
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except rclpy_implementation.RCLError:  # of what a callback, or the executor itself, makes after the signal
        if rclpy.ok():
            raise
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    del node, executor
    gc.collect()  # only now does the graph hear that the node is gone, and nobody waits for its services
    # Python would also end the threads of TBB, which takes many seconds on a busy machine; launch kills after 5.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
