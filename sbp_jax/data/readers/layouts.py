"""Layouts of tracking files: the column names of each publisher, and the columns that identify a layout.

The page `docs/explanation/tracking-data.md` lists the layouts. To support a new one, add a `Layout` to `LAYOUTS`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sbp_jax.errors import InputError

SNAP_EVENTS = ("ball_snap", "snap_direct")


@dataclass(frozen=True)
class Layout:
    """Map the common names of columns to the names in one tracking layout.

    Args:
        name: name of the layout in reports.
        mark: a column that no other layout has, or one that distinguishes two similar layouts.
        clock: "frame" if all players share a frame number, "time" if they share only the time stamp.
        required, optional: common name -> the file's column.
        without: columns that never occur in this layout; a file with one of them has another layout.
        whole_play: the file has exactly the frames from the snap to the throw, no events and no ball.
    """

    name: str
    mark: str
    clock: Literal["frame", "time"]
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    without: Collection[str] = ()
    whole_play: bool = False

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Return the required columns that are not in `columns`."""
        return [name for name in self.required.values() if name not in columns]

    def present(self, columns: Sequence[str]) -> dict[str, str]:
        """Return common name -> file column for every known column in `columns`."""
        return {name: column for name, column in {**self.required, **self.optional}.items() if column in columns}


# `a`, the magnitude of the acceleration, is never read: it has no direction, and its smoothing is undocumented. The
# derivative of the velocity, from the past alone (`kinematics`), correlates 0.95 with it.
_ROW = {"game_id": "gameId", "play_id": "playId", "player_id": "nflId", "x": "x", "y": "y", "event": "event"}
_NAMED = {**_ROW, "name": "displayName"}
_MOTION = {"s": "s", "dir": "dir", "o": "o", "direction": "playDirection", "position": "position", "time": "time"}

LAYOUTS = (
    Layout("Big Data Bowl 2019", "frame.id", "frame", {**_NAMED, "frame": "frame.id", "side": "team"}, _MOTION),
    Layout(
        "NGS highlights",
        "possessionFlag",
        "time",
        {**_NAMED, "time": "time", "possession": "possessionFlag"},
        {
            **_MOTION,
            "frame": "frame",
            "at_home": "homeTeamFlag",
            "side": "teamAbbr",
            "season": "season",
            "week": "week",
            "quarter": "quarter",
            "game_clock": "gameClock",
            "down": "down",
            "distance": "yardsToGo",
            "absolute_yardline": "absoluteYardlineNumber",
            "home_score": "preSnapHomeScore",
            "visitor_score": "preSnapVisitorScore",
            "description": "playDescription",
            "copy": "srcFile",
        },
    ),
    Layout(
        "Big Data Bowl 2025",
        "frameType",
        "frame",
        {**_NAMED, "frame": "frameId", "side": "club", "frame_type": "frameType"},
        _MOTION,
    ),
    Layout("Big Data Bowl 2024", "club", "frame", {**_NAMED, "frame": "frameId", "side": "club"}, _MOTION),
    Layout("Big Data Bowl 2021", "frameId", "frame", {**_NAMED, "frame": "frameId", "side": "team"}, _MOTION),
    Layout(
        "Big Data Bowl 2023",
        "frameId",
        "frame",
        {**_ROW, "frame": "frameId", "side": "team"},
        _MOTION,
        without=("displayName", "position", "route"),
    ),
    Layout(
        "Big Data Bowl 2026",
        "player_role",
        "frame",
        {
            "game_id": "game_id",
            "play_id": "play_id",
            "player_id": "nfl_id",
            "frame": "frame_id",
            "x": "x",
            "y": "y",
            "side": "player_side",
            "role": "player_role",
            "absolute_yardline": "absolute_yardline_number",
        },
        # never read: ball_land_x, ball_land_y and num_frames_output, which reveal what follows the release
        {
            "s": "s",
            "dir": "dir",
            "o": "o",
            "direction": "play_direction",
            "position": "player_position",
            "name": "player_name",
        },
        whole_play=True,
    ),
)

_SIGNS = {"x", "y", "s", "dis", "dir", "o", "frame.id", "frameId", "frame_id", "frameType", "possessionFlag"}
_FLIGHT = {"game_id", "play_id", "nfl_id", "frame_id", "x", "y"}


def find_layout(columns: Sequence[str]) -> Layout | None:
    """Return the layout that fits a table's columns, or None if the table is not tracking.

    Raises:
        InputError: the columns look like tracking, but no known layout fits. The message does not name the file; it
            lists the columns that are missing for the nearest layouts.
    """
    present = set(columns)
    if len(present & _SIGNS) < 2:
        return None
    possible = [layout for layout in LAYOUTS if not present & set(layout.without)]
    for layout in possible:
        if layout.mark in present and not layout.missing(columns):
            return layout
    counts = {layout.name: len(layout.missing(columns)) for layout in possible}
    nearest = [layout for layout in possible if counts[layout.name] == min(counts.values())]
    missing = " or ".join(f"{', '.join(each.missing(columns))} ({each.name})" for each in nearest)
    raise InputError(f"looks like tracking but is missing the column(s) {missing}")


def is_flight(columns: Sequence[str]) -> bool:
    """Return whether the columns are those of the frames after the throw (2026, output), which no feature may use."""
    return set(columns) == _FLIGHT
