"""What both nodes share: transitions that fail with one clear line, callbacks that never end a
node, a quiet end.
"""

import gc
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from gaussvae_ros.errors import ConfigError, GaussVaeError
from gaussvae_ros.nodes import parameters
from gaussvae_ros.nodes.command_line import begin
from gaussvae_ros.nodes.ending import Ending
from gaussvae_ros.nodes.faults import Faults
from gaussvae_ros.nodes.presence import FOUND_S, Presence
from gaussvae_ros.nodes.rosout import log_through

WAKE_S = 0.2
# After an error of the executor itself, doubled while it does nothing else.
WAIT_S, LONGEST_WAIT_S = (0.1, 10.0)
# Exit codes: wrong parameters or names; an error inside, after which a new process may do better.
WRONG, CRASHED = 2, 70


class ManagedNode(LifecycleNode):
    """A lifecycle node with a table of parameters. A subclass fills in `load` to `adjust`.

    A GaussVaeError lets a transition fail and the node stay as it was. `close` puts back what
    `configure` and `activate` made, also where they came only half way, and may be called in any
    state. Any other exception of a callback is one of `faults`, and the node goes on.
    """

    def __init__(self, name: str, table: tuple[parameters.Parameter, ...]):
        """Raises ConfigError if the node was started with parameters that it cannot take."""
        self.faults, self.exit_code = Faults(rclpy.ok), 0
        super().__init__(name)
        self._table = table
        parameters.declare(
            self,
            table,
            lambda: self._state_machine.current_state[0] != State.PRIMARY_STATE_UNCONFIGURED,
        )
        self.settings = parameters.values(self, table)
        self._adjust = self.faults.guarded("the change of a parameter", self.adjust)
        self.add_post_set_parameters_callback(self._changed)
        # rclpy lets a request for a transition that is not possible now end the process.
        self._request_change = self._service_change_state.callback
        self._service_change_state.callback = self.faults.guarded(
            "a transition", self._change, refusal
        )
        self.presence = Presence(self)
        self.create_timer(
            FOUND_S, self._look_for_another, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def load(self) -> None:
        """Load what takes long to load. Nobody else is to notice."""

    def configure(self) -> None:
        """Get ready."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Stop, with nothing lost."""

    def close(self) -> None:
        """Let go of everything, at once and with nothing lost."""

    def last_words(self) -> None:
        """Publish what is due, in a thread of its own: a signal came, and the graph ends next."""

    def adjust(self) -> None:
        """Take over `settings`, which have changed."""

    def bring_up(self) -> None:
        """Configure and activate. An internal error ends the process, so that a new one may do
        better.
        """
        for step, trigger in (
            ("configure", self.trigger_configure),
            ("activate", self.trigger_activate),
        ):
            done = trigger()
            if done == TransitionCallbackReturn.SUCCESS:
                continue
            if done == TransitionCallbackReturn.ERROR:
                self.exit_code = CRASHED
                rclpy.try_shutdown(context=self.context)
            elif self.context.ok() and not self.presence.known_conflict():
                name = self.get_fully_qualified_name()
                self.get_logger().error(
                    f"{name} did not {step}. Again: ros2 lifecycle set {name} {step}"
                )
            return

    def create_subscription(
        self, kind: type, topic: str, callback: Callable, *arguments: object, **more: object
    ):
        guarded = self.faults.guarded(f"a message of {topic}", callback)
        return super().create_subscription(kind, topic, guarded, *arguments, **more)

    def create_timer(self, period: float, callback: Callable, *arguments: object, **more: object):
        guarded = self.faults.guarded(
            f"the timer of {getattr(callback, '__name__', 'a node').strip('_')}", callback
        )
        return super().create_timer(period, guarded, *arguments, **more)

    def create_service(
        self, kind: type, name: str, callback: Callable, *arguments: object, **more: object
    ):
        guarded = self.faults.guarded(f"the service {name}", callback, refusal)
        return super().create_service(kind, name, guarded, *arguments, **more)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._attempt("configure", self._configure_alone)
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

    def _configure_alone(self) -> None:
        """Configure, unless an older node of this name runs, which is known once it had the time to
        be found.
        """
        if not self.presence.known_conflict():
            self.load()
        if problem := self.presence.conflict():
            raise ConfigError(problem)
        self.configure()

    def _look_for_another(self) -> None:
        """End the process if an older node has this name and this one has not begun."""
        if self._state_machine.current_state[0] == State.PRIMARY_STATE_UNCONFIGURED:
            if problem := self.presence.known_conflict():
                self.get_logger().fatal(f"{problem}. This process ends")
                self.exit_code = WRONG
                rclpy.try_shutdown(context=self.context)

    def _attempt(self, what: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
            return TransitionCallbackReturn.SUCCESS
        except GaussVaeError as error:
            self.get_logger().error(f"cannot {what}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would only note that there was one
            if not self.context.ok():  # a signal came meanwhile, and ROS makes nothing any more
                return TransitionCallbackReturn.FAILURE
            self.faults.note(f"the attempt to {what}", error)
            return TransitionCallbackReturn.ERROR

    def _change(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        try:
            return self._request_change(request, response)
        except rclpy_implementation.RCLError:
            response.success = False
            if self.context.ok():
                wanted = request.transition.label or request.transition.id
                self.get_logger().warning(
                    f"transition {wanted} is not possible while"
                    f" {self._state_machine.current_state[1]}"
                )
            return response

    def _changed(self, _) -> None:
        self.settings = parameters.values(self, self._table)
        self._adjust()


def run(make: Callable[[], ManagedNode], args: list[str] | None = None) -> int:
    """Spin a node until SIGINT or SIGTERM, close it, end the process. Returns the exit code where
    there is no node.
    """
    ending = Ending()
    try:
        begin(args)
        node = make()
        ending.last_words = node.faults.guarded("the end", node.last_words)
        executor, beats = SingleThreadedExecutor(), deque(maxlen=1)
        executor.add_node(node)
        # That a signal came may be known before there was anything to shut down, or to wake.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(WAKE_S, lambda: beats.append(True), clock=steady)
    except GaussVaeError as error:
        print(f"{sys.argv[0].rsplit('/', 1)[-1]}: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return WRONG
    except Exception:
        if not rclpy.ok():
            return 0  # a signal came meanwhile
        traceback.print_exc()
        return CRASHED
    log_through(node)
    faults = node.faults  # which outlives the node
    threading.excepthook = lambda end: faults.note(
        f"the thread {end.thread and end.thread.name}", end.exc_value
    )
    if ending.came:
        rclpy.try_shutdown()
    if node.settings.autostart:
        node.faults.guarded("the start", node.bring_up)()
    if not _spin(executor, faults, beats):
        node.exit_code = CRASHED
    # The executor too: as garbage it may be collected after what it would still end, and complain.
    for end in (node.close, node.destroy_node, executor.shutdown, rclpy.try_shutdown):
        node.faults.guarded("the end", end)()
    code = node.exit_code
    threading.excepthook = threading.__excepthook__
    ending.let_go()
    del node, executor, end
    # Only now does the graph hear that the node is gone, and nobody waits for its services.
    gc.collect()
    # Python would also end the threads of TBB, which takes many seconds on a busy machine; launch
    # kills after 5.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _spin(executor: SingleThreadedExecutor, faults: Faults, beats: deque) -> bool:
    """Spin until a signal comes; False if the executor does nothing any more but fail.

    `beats` has something in it when a timer was called since it was cleared.
    """
    wait = WAIT_S
    while rclpy.ok() and wait <= LONGEST_WAIT_S:
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except Exception as error:
            if not rclpy.ok():  # of what a callback, or the executor itself, makes after the signal
                break
            faults.note("the executor", error)
            time.sleep(wait)
            wait = WAIT_S if beats else 2 * wait
            beats.clear()
    return wait <= LONGEST_WAIT_S


def refusal(error: Exception, _: object, response: object) -> object:
    """What a service answers whose callback failed."""
    answer = type(response)()
    if hasattr(answer, "success"):
        answer.success = False
    if hasattr(answer, "message"):
        what = f"{type(error).__name__}: {error}"
        answer.message = f"internal error: {what}; the log of the node has the traceback"
    return answer
