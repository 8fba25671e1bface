"""Request from outside (a signal, a scheduler, a test) that a training run stop."""

from dataclasses import dataclass


class Stopped(BaseException):
    """A training run stopped on request; its state is saved.

    Attributes:
        step: number of steps taken and saved; None if no step was taken or this process had nothing to save.
    """

    def __init__(self, step: int | None = None):
        super().__init__(step)
        self.step = step


@dataclass
class StopRequest:
    """A stop request, shared between a training run and its caller.

    Attributes:
        requested: set by the caller; training saves and raises `Stopped` after the current compiled call.
        unsaved: set by training if it has taken steps since the newest checkpoint; otherwise the process can end at any
            time without loss.
    """

    requested: bool = False
    unsaved: bool = False
