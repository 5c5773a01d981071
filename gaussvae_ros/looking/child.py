"""The process that looks at pictures for another one: pictures come on its standard input, what
they show goes out on its standard output, a line of JSON each.

It runs only while no other process wants the CPU (SCHED_IDLE, where the system has that), so that
it delays nobody. It ends when its input does.
"""

import json
import os
import signal
import sys
from contextlib import suppress

import numpy as np

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.looking.looks import Looker, Looks


def main(given: str) -> int:
    """Look at one picture after another; `given` is `Looks` as JSON."""
    _give_way()
    # Libraries that print must not get in between.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    looker = Looker(Looks(**json.loads(given)))
    while header := sys.stdin.buffer.readline():
        shape = json.loads(header)
        size = int(np.prod(shape))
        data = sys.stdin.buffer.read(size)
        if len(data) < size:
            return 0
        try:
            answer = looker.look(np.frombuffer(data, np.uint8).reshape(shape)).as_json()
        except GaussVaeError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=out, flush=True)
    return 0


def _give_way() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that it works for
    # Not in a session of its own, which Linux may give a share of the CPU like any other.
    with suppress(OSError, AttributeError):
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (GaussVaeError, BrokenPipeError) as error:
        sys.exit(str(error))
