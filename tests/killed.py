"""`python -m tests.killed PATTERN COUNT COMMAND ...`: run `sbp COMMAND ...` and kill it at the COUNT-th matching path.

Paths count when Python opens, creates, moves or removes a file or folder, so that the moment depends on the command's
own sequence of events and not on the clock.
"""

import os
import re
import signal
import sys
from typing import Any

EVENTS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}


def main() -> None:
    pattern, left, sys.argv[1:] = re.compile(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in EVENTS and pattern.search(str(arguments[0])):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    from sbp_jax import cli  # its imports count too

    cli.main()


if __name__ == "__main__":
    main()
