"""A wish to stop a training, told from outside: by a signal, a scheduler, a test."""

from dataclasses import dataclass


class Stopped(BaseException):
    """A training that was asked to stop has stopped; what it had reached is saved.

    Attributes:
        step: steps taken and saved; None where none was, or nothing of this process had to be saved.
    """

    def __init__(self, step: int | None = None):
        super().__init__(step)
        self.step = step


@dataclass
class Stop:
    """What the training and whoever wants to stop it tell each other.

    Attributes:
        asked: the training saves and raises `Stopped` after the compiled call that runs.
        unsaved: steps were taken since the newest checkpoint; else the process can end at any moment at no loss.
    """

    asked: bool = False
    unsaved: bool = False
