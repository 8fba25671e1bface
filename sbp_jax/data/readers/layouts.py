"""Layouts of tracking files: the column names of each publisher, and the columns that identify a layout.

The page `docs/explanation/tracking-data.md` lists the layouts. To support a new one, add a `Layout` to `LAYOUTS`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sbp_jax.data.readers.names import ROW_INDEX, find_column, has_column
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
        unspelled: further columns that a file in another spelling must not have; they distinguish layouts whose marks
            differ only in spelling.
        note: what the publisher omits, if that makes every play unusable.
        whole_play: the file has exactly the frames from the snap to the throw, no events and no ball.
    """

    name: str
    mark: str
    clock: Literal["frame", "time"]
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    without: Collection[str] = ()
    unspelled: Collection[str] = ()
    whole_play: bool = False
    note: str = ""

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Return the required columns that are not in `columns`, in any spelling."""
        return [name for name in self.required.values() if find_column(columns, name) is None]

    def present(self, columns: Sequence[str]) -> dict[str, str]:
        """Return common name -> the file's column for every known column in `columns`, in any spelling."""
        names = {**self.required, **self.optional}.items()
        return {name: column for name, spelling in names if (column := find_column(columns, spelling)) is not None}

    def fits(self, columns: Sequence[str]) -> bool:
        """Return whether the columns are those of this layout, spelled exactly."""
        present = set(columns)
        return self.mark in present and not present & set(self.without) and present.issuperset(self.required.values())

    def fits_spelled(self, columns: Sequence[str]) -> bool:
        """Return whether the columns are those of this layout in another spelling."""
        never = {*self.without, *self.unspelled}
        return not has_column(columns, never) and not self.absent(columns)

    def absent(self, columns: Sequence[str]) -> list[str]:
        """Return the mark and the required columns that are not in `columns`, in any spelling."""
        mark = find_column(columns, self.mark)
        if mark != self.mark and mark in {layout.mark for layout in LAYOUTS}:
            # the exact mark of another layout: files of 2019 have no direction of play, later ones do
            mark = mark if not self.unspelled and has_column(columns, ("playDirection",)) else None
        return list(dict.fromkeys([*([] if mark else [self.mark]), *self.missing(columns)]))


# `a`, the magnitude of the acceleration, is never read: it has no direction, and its smoothing is undocumented. The
# derivative of the velocity, from the past alone (`kinematics`), correlates 0.95 with it.
_ROW = {"game_id": "gameId", "play_id": "playId", "player_id": "nflId", "x": "x", "y": "y", "event": "event"}
_NAMED = {**_ROW, "name": "displayName"}
_MOTION = {"s": "s", "dir": "dir", "o": "o", "direction": "playDirection", "position": "position", "time": "time"}

LAYOUTS = (
    Layout(
        "Big Data Bowl 2019",
        "frame.id",
        "frame",
        {**_NAMED, "frame": "frame.id", "side": "team"},
        _MOTION,
        unspelled=("a", "o", "playDirection"),
    ),
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
    Layout(
        "Big Data Bowl 2024",
        "club",
        "frame",
        {**_NAMED, "frame": "frameId", "side": "club"},
        _MOTION,
        note="Big Data Bowl 2024 publishes a pass from five frames before the catch only, so no pass has its release",
    ),
    # merged with the year's list of players, the only one that calls the position so
    Layout(
        "Big Data Bowl 2023",
        "officialPosition",
        "frame",
        {**_ROW, "frame": "frameId", "side": "team"},
        {**_MOTION, "name": "displayName", "position": "officialPosition"},
        without=("position", "route"),
    ),
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
_CLOCKS = {"frameId", "possessionFlag"}  # in other spellings, single letters alone do not suffice
_FLIGHT = {"game_id", "play_id", "nfl_id", "frame_id", "x", "y"}


def find_layout(columns: Sequence[str]) -> Layout | None:
    """Return the layout that fits a table's columns, or None if the table is not tracking.

    Raises:
        InputError: the columns look like tracking, but no known layout fits, or two columns could both be one of its
            names. The message does not name the file; it lists the columns that are missing for the nearest layouts.
    """
    exact = next((layout for layout in LAYOUTS if layout.fits(columns)), None)
    if exact:
        return exact
    present = set(columns)
    spelled = has_column(columns, _CLOCKS) and has_column(columns, {"x", "y", "s", "dis", "dir"})
    if len(present & _SIGNS) < 2 and not spelled:
        return None
    for layout in LAYOUTS:
        if layout.fits_spelled(columns):
            return layout
    possible = [layout for layout in LAYOUTS if not has_column(columns, layout.without)]
    counts = [len(layout.absent(columns)) for layout in possible]
    nearest = [layout for layout, count in zip(possible, counts, strict=True) if count == min(counts)]
    # two layouts of one publisher can be missing the same
    missing = " or ".join(dict.fromkeys(f"{', '.join(each.absent(columns))} ({each.name})" for each in nearest))
    raise InputError(f"looks like tracking but is missing the column(s) {missing}")


def is_flight(columns: Sequence[str]) -> bool:
    """Return whether the columns are those of the frames after the throw (2026, output), which no feature may use."""
    rest = [column for column in columns if column.strip() not in ROW_INDEX]
    return len(rest) == len(_FLIGHT) and all(find_column(rest, name) for name in _FLIGHT)
