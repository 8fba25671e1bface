"""Layouts of tracking files: how each publisher names the columns, and the columns that tell a layout from the others.

| layout | file | ball | clock | what else |
| --- | --- | --- | --- | --- |
| Big Data Bowl 2019 | one a game | yes | `frame.id` | no orientation, no direction of play; times cut to seconds |
| Big Data Bowl 2021 (and 2022) | one a week | yes | `frameId` | teams as home and away; no linemen |
| Big Data Bowl 2023 | one a week | yes | `frameId` | no names: they come from the list of players |
| Big Data Bowl 2024 | one a week | yes | `frameId` | teams as abbreviations in `club` |
| Big Data Bowl 2025 | one a week | yes | `frameId` | `frameType` marks the snap |
| Big Data Bowl 2026 | one a week | no | `frame_id` | snap to throw by construction; no events, no linemen |
| NGS highlights | one a season | yes | `time` | each player counts his own frames; has the play's description |

A new layout is one more `Layout` in `LAYOUTS`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sbp_jax.errors import InputError

SNAP_EVENTS = ("ball_snap", "snap_direct")


@dataclass(frozen=True)
class Layout:
    """A tracking layout: the file's column names behind the common ones.

    Args:
        name: the layout's name in reports.
        mark: a column that no other layout has, or the one that decides between two.
        clock: "frame" where a frame number is shared by all players, "time" where only the time stamp is.
        required, optional: common name -> the file's column.
        without: columns that this layout never has: with one of them the file is of another layout.
        whole_play: the file has a play's frames from the snap to the throw and no others, and no events and no ball.
    """

    name: str
    mark: str
    clock: Literal["frame", "time"]
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    without: Collection[str] = ()
    whole_play: bool = False

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Return the required columns that `columns` lacks."""
        return [name for name in self.required.values() if name not in columns]

    def present(self, columns: Sequence[str]) -> dict[str, str]:
        """Return common name -> file column for all that `columns` has."""
        return {name: column for name, column in {**self.required, **self.optional}.items() if column in columns}


# `a`, the magnitude of the acceleration, is never read: it has no direction, and what publishers smooth it over is not
# said. The direction is in the velocities, whose derivative from the past alone (`kinematics`) correlates 0.95 with it.
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
        # ball_land_x, ball_land_y and num_frames_output tell what follows the release: they are never read
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
    """Return the layout of a tracking file by its columns, None for a table of something else.

    Raises:
        InputError: the columns look like tracking, but no known layout fits; the line (without the file's name) tells
            what the nearest lack.
    """
    has = set(columns)
    if len(has & _SIGNS) < 2:
        return None
    possible = [layout for layout in LAYOUTS if not has & set(layout.without)]
    for layout in possible:
        if layout.mark in has and not layout.missing(columns):
            return layout
    lacks = {layout.name: len(layout.missing(columns)) for layout in possible}
    nearest = [layout for layout in possible if lacks[layout.name] == min(lacks.values())]
    lacking = " or ".join(f"{', '.join(each.missing(columns))} ({each.name})" for each in nearest)
    raise InputError(f"looks like tracking but lacks the column(s) {lacking}")


def is_flight(columns: Sequence[str]) -> bool:
    """Tell whether columns are those of the frames after the throw (2026, output), which no feature may see."""
    return set(columns) == _FLIGHT
