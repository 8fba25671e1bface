"""SIGTERM and SIGINT while something long runs: what is reached is saved, and a line says how to go on."""

import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sbp_jax.training.stop import Stop, Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT)
TIMEOUT_S = 2.0  # for the interpreter to react; compiled code and the compiler keep it from it


@contextmanager
def listening() -> Iterator[Stop]:
    """Turn the first signal into a wish to stop, and end the process at the second.

    Where steps would be lost, the training saves them after the compiled call that runs, and raises `Stopped`. Else
    `Stopped` is raised at once, or, where the compiler holds the main thread, the process ends without it. In the end
    a line has the command that goes on, and the exit code is 0 after SIGTERM, which schedulers send, and 130 after
    SIGINT.

    Yields:
        what a training reads; outside of the main thread nobody writes it.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    told: list[int] = []  # signals, in the order of their arrival
    over = threading.Event()
    read, write = socket.socketpair()  # Windows can wait for no pipe
    write.setblocking(False)

    def react(_number: int, _frame: FrameType | None) -> None:
        stop.asked = True
        if not stop.unsaved:
            raise Stopped

    def watch() -> None:
        # The interpreter's handlers wait until compiled code returns; the numbers on the socket do not.
        while content := read.recv(64):
            for number in content:
                if number in SIGNALS:
                    told.append(number)
                    stop.asked = True
                    if len(told) > 1:
                        _end(128 + number, "ended at once by a second signal")
                    threading.Thread(target=end_if_nothing_is_lost, daemon=True).start()

    def end_if_nothing_is_lost() -> None:
        # a training with unsaved steps looks at `asked` itself
        if not over.wait(TIMEOUT_S) and not stop.unsaved:
            _end(_code(told[0]), farewell(told[0], None))

    watcher = threading.Thread(target=watch, daemon=True)
    previous = {number: signal.signal(number, react) for number in SIGNALS}
    outer = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
    watcher.start()
    try:
        yield stop
    except Stopped as stopped:
        over.set()
        while not told:  # the watcher is about to read it
            time.sleep(0.01)
        print(f"\n{farewell(told[0], stopped.step)}", file=sys.stderr)
        raise SystemExit(_code(told[0])) from None
    finally:
        over.set()
        signal.set_wakeup_fd(outer)
        for number, handler in previous.items():
            signal.signal(number, handler)
        write.close()
        watcher.join()
        read.close()


def farewell(number: int, step: int | None) -> str:
    """The line that a stopped command leaves: how far it came, and the words that it was called with."""
    saved = "nothing new to save" if step is None else f"saved at step {step}"
    return f"stopped by {signal.Signals(number).name}, {saved}; to go on: {shlex.join(sys.orig_argv)}"


def _code(number: int) -> int:
    return 0 if number == signal.SIGTERM else 128 + number


def _end(code: int, line: str) -> None:
    os.write(2, f"\n{line}\n".encode())  # not through a stream: the main thread may hold its lock
    os._exit(code)
