"""A full disk, told in one line, whichever layer noticed it."""

import errno
import os
import shutil
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(error: BaseException, place: Path, needed: int, kept: str = "") -> OSError | None:
    """What to raise in place of an error that says that a disk is full, a quota used up or a file too large.

    Args:
        error: of the system, or of a storage layer whose text has the system's name of the cause.
        place: file or folder that was written.
        needed: its bytes.
        kept: what can be relied on now.

    Returns:
        an OSError with a line for the user; None where the error is about something else.
    """
    text = str(error)
    for code in _FULL:
        if getattr(error, "errno", None) == code or errno.errorcode[code] in text or os.strerror(code) in text:
            folder = next(parent for parent in (place, *place.parents) if parent.is_dir())
            free = shutil.disk_usage(folder).free
            room = f"about {needed / 1e6:.3g} MB are needed, {free / 1e6:.3g} MB are free"
            return OSError(code, f"{os.strerror(code)}; {room}{kept and '; '}{kept}", str(place))
    return None
