"""Handle SIGTERM and SIGINT during long commands: save the current state and print how to resume."""

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

from sbp_jax.training.stop import Stopped, StopRequest

SIGNALS = (signal.SIGTERM, signal.SIGINT)
TIMEOUT_S = 2.0  # time for the interpreter to react, which compiled code and the compiler may block


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn the first signal into a stop request, and end the process at the second.

    If steps would be lost, training saves them after the current compiled call and raises `Stopped`. Otherwise
    `Stopped` is raised at once, or, if the compiler blocks the main thread, the process ends without it. The last line
    of output is the command that resumes. The exit code is 0 after SIGTERM, which schedulers send, and 130 after
    SIGINT.

    Yields:
        The stop request for training; outside the main thread, signals do not set it.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signals: list[int] = []  # numbers of the received signals, in order
    over = threading.Event()
    reader, writer = socket.socketpair()  # not a pipe, which Windows cannot wait for
    writer.setblocking(False)

    def react(_number: int, _frame: FrameType | None) -> None:
        stop.requested = True
        if not stop.unsaved:
            raise Stopped

    def listen() -> None:
        # Python's signal handlers wait until compiled code returns; the numbers on the socket do not.
        while content := reader.recv(64):
            for number in content:
                if number in SIGNALS:
                    signals.append(number)
                    stop.requested = True
                    if len(signals) > 1:
                        _end(128 + number, "ended at once by a second signal")
                    threading.Thread(target=end_if_nothing_is_lost, daemon=True).start()

    def end_if_nothing_is_lost() -> None:
        # training with unsaved steps checks `asked` itself
        if not over.wait(TIMEOUT_S) and not stop.unsaved:
            _end(_code(signals[0]), farewell(signals[0], None))

    listener = threading.Thread(target=listen, daemon=True)
    previous = {number: signal.signal(number, react) for number in SIGNALS}
    outer = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    listener.start()
    try:
        yield stop
    except Stopped as stopped:
        over.set()
        while not signals:  # the listener is about to read it
            time.sleep(0.01)
        print(f"\n{farewell(signals[0], stopped.step)}", file=sys.stderr)
        raise SystemExit(_code(signals[0])) from None
    finally:
        over.set()
        signal.set_wakeup_fd(outer)
        for number, handler in previous.items():
            signal.signal(number, handler)
        writer.close()
        listener.join()
        reader.close()


def farewell(number: int, step: int | None) -> str:
    """Return the last line of a stopped command: its progress, and the command line that resumes it."""
    progress = "nothing new to save" if step is None else f"saved at step {step}"
    return f"stopped by {signal.Signals(number).name}, {progress}; to resume: {shlex.join(sys.orig_argv)}"


def _code(number: int) -> int:
    return 0 if number == signal.SIGTERM else 128 + number


def _end(code: int, line: str) -> None:
    os.write(2, f"\n{line}\n".encode())  # not through a stream, because the main thread may own its lock
    os._exit(code)
