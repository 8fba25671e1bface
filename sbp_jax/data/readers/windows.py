"""Cut a tracking file's rows into one window per pass, from snap to release; count every play that is left out."""

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.kinematics import FIELD_LENGTH_YARDS, FIELD_WIDTH_YARDS, LEAD
from sbp_jax.data.readers.layouts import SNAP_EVENTS
from sbp_jax.data.readers.screen import Screen

RELEASE_EVENTS = ("pass_forward", "pass_shovel")
AUTOMATIC = {"autoevent_ballsnap": "ball_snap", "autoevent_passforward": "pass_forward"}
FIELD_X = (-15.0, 135.0)  # the field is 120 by 53.3 yards, but players run out of bounds
FIELD_Y = (-15.0, 75.0)
FASTEST_YPS = 30.0  # two and a half times the highest speed ever tracked
MAX_PLAYERS = 22
_MIN_SIDE, _MIXED = 4, 0.1
# proportion of a play's positions beyond the lines: at most 0.4 % in the 300 real plays; a yard is noise
_MAX_OFF_FIELD, _MARGIN_YARDS = 0.05, 1.0
# the offense's front player and the ball at the snap: within 3 yards in all of them
_MAX_FRONT_YARDS = 6.0


def drop_copies(rows: pl.DataFrame, seen: set[tuple[int, int]], screen: Screen) -> pl.DataFrame:
    """Count the plays of `rows` as read, and return `rows` without empty rows and duplicate plays.

    A duplicate is a play that also comes from another source file of the same table, or that is already in `seen`. The
    plays are added to `seen`.
    """
    empty = pl.all_horizontal(pl.col(c).is_null() for c in ("x", "y", "s"))
    nonempty = rows.filter(~empty)
    screen.report.repair("empty rows dropped", len(rows) - len(nonempty))
    plays = rows.select(PLAY).unique().sort(PLAY)
    screen.report.read += len(plays)
    rows = screen.reject(rows, plays.join(nonempty, on=PLAY, how="anti"), "empty rows only")
    again = plays.filter(pl.Series([play in seen for play in plays.iter_rows()], dtype=pl.Boolean))
    seen.update(plays.iter_rows())
    if "copy" in rows.columns:
        first = nonempty.group_by(PLAY).agg(first=pl.col("copy").min(), copies=pl.col("copy").n_unique())
        double = first.filter(pl.col("copies") > 1)
        extras = double.sort(PLAY).select(pl.col(*PLAY).repeat_by(pl.col("copies") - 1)).explode(PLAY)
        screen.report.read += len(extras)
        screen.report.reject("duplicate copy", extras.iter_rows())
        nonempty = (
            nonempty.join(first, on=PLAY).filter(pl.col("copy").eq_missing(pl.col("first"))).drop("first", "copies")
        )
    return screen.reject(nonempty, again, "duplicate copy")


def cut(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return the rows from `LEAD` frames before the snap to the release, with `frame` counted from the snap.

    The snap is the first `ball_snap` or `snap_direct`, the release the first `pass_forward` or `pass_shovel` after it.
    Automatic events are used if a play has no manually recorded event of that kind.
    """
    events = rows.filter(pl.col("event").is_not_null()).select(*PLAY, "clock", "event")
    manual, automatic = _moments(events), _moments(events.with_columns(pl.col("event").replace(AUTOMATIC)))
    plays = rows.select(PLAY).unique()
    moments = plays.join(manual, on=PLAY, how="left").join(automatic, on=PLAY, how="left", suffix="_automatic")
    moments = moments.select(*PLAY, snap=pl.coalesce("snap", "snap_automatic"))
    moments = screen.reject(moments, moments.filter(pl.col("snap").is_null()), "no snap")
    release = _first_release(events, moments).join(
        _first_release(events.with_columns(pl.col("event").replace(AUTOMATIC)), moments),
        on=PLAY,
        how="full",
        coalesce=True,
        suffix="_automatic",
    )
    moments = moments.join(release, on=PLAY, how="left").select(
        *PLAY, "snap", release=pl.coalesce("release", "release_automatic")
    )
    moments = screen.reject(moments, moments.filter(pl.col("release").is_null()), "no release")
    length = pl.col("release") - pl.col("snap") + 1
    moments = screen.reject(moments, moments.filter(length < screen.rules.min_frames), "too few frames")
    moments = screen.reject(moments, moments.filter(length > screen.rules.max_frames), "too many frames")
    window = (
        rows.join(moments, on=PLAY)
        .filter(pl.col("clock") >= pl.col("snap") - LEAD, pl.col("clock") <= pl.col("release"))
        .with_columns(frame=pl.col("clock") - pl.col("snap"), frames=length)
        .drop("clock", "snap", "release")
    )
    single = window.unique([*PLAY, "player_id", "frame"], keep="first", maintain_order=True)
    screen.report.repair("duplicate (player, time) rows dropped", len(window) - len(single))
    return single


def check(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return the window rows without plays whose tracking is damaged (malformed) or has gaps (rejected)."""
    inside = rows.filter(pl.col("frame") >= 0)
    place = pl.format("{} at frame {}", pl.coalesce("name", pl.lit("a player")), "frame")
    finite = pl.all_horizontal(pl.col(c).is_finite().fill_null(value=False) for c in ("x", "y"))
    where = pl.format("x = {}, y = {}, ", "x", "y") + place
    rows = screen.malformed(
        rows, inside.filter(~finite).with_columns(detail=where), "coordinates are not finite numbers"
    )
    fast = pl.col("s").abs() > FASTEST_YPS if "s" in rows.columns else pl.lit(False)
    speeding = inside.filter(~pl.col("is_ball") & fast.fill_null(value=False))
    detail = pl.format("s = {} yd/s, ", "s") + place if "s" in rows.columns else where
    rows = screen.malformed(rows, speeding.with_columns(detail=detail), "a speed that no player reaches")
    on_field = pl.col("x").is_between(*FIELD_X) & pl.col("y").is_between(*FIELD_Y)
    rows = screen.malformed(
        rows, inside.filter(finite & ~on_field).with_columns(detail=where), "coordinates far off the field"
    )
    beyond = ~(
        pl.col("x").is_between(-_MARGIN_YARDS, FIELD_LENGTH_YARDS + _MARGIN_YARDS)
        & pl.col("y").is_between(-_MARGIN_YARDS, FIELD_WIDTH_YARDS + _MARGIN_YARDS)
    )
    shares = inside.filter(~pl.col("is_ball")).group_by(PLAY).agg(beyond=beyond.mean())
    detail = pl.format("{} % of the positions", (100 * pl.col("beyond")).round())
    outside = shares.filter(pl.col("beyond") > _MAX_OFF_FIELD).with_columns(detail=detail)
    rows = screen.malformed(rows, outside, "many positions off the field: another origin or unit")
    crowd = inside.filter(~pl.col("is_ball")).group_by(*PLAY, "frame").agg(count=pl.len()).sort(*PLAY, "frame")
    rows = screen.malformed(
        rows,
        crowd.filter(pl.col("count") > MAX_PLAYERS).with_columns(
            detail=pl.format("{} players at frame {}", "count", "frame")
        ),
        "more than 22 players in a frame",
    )
    names = inside.filter(~pl.col("is_ball")).group_by(PLAY).agg(count=pl.col("player_id").n_unique())
    rows = screen.malformed(
        rows,
        names.filter(pl.col("count") > MAX_PLAYERS).with_columns(detail=pl.format("{} different players", "count")),
        "more than 22 players in a play",
    )
    counts = crowd.group_by(PLAY).agg(tracked=pl.len()).join(rows.select(*PLAY, "frames").unique(PLAY), on=PLAY)
    torn = counts.filter(pl.col("tracked") < pl.col("frames"))
    rows = screen.reject(rows, torn, "frames missing between snap and release")
    ball = rows.filter("is_ball", pl.col("frame") == 0)
    return screen.reject(rows, rows.join(ball, on=PLAY, how="anti"), "no ball at the snap")


def check_facing(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` without malformed plays: one team is absent, or the teams are mixed along x at the snap.

    The criterion is the proportion of (offense, defense) pairs in which the offensive player stands behind the
    defender. It is 1 in all 282 real plays, and about 1/2 if x and y are swapped. Plays with fewer than four players on
    a side pass. `rows` must have a column `offense`.
    """
    snap = rows.filter(pl.col("frame") == 0, ~pl.col("is_ball"), pl.col("side").is_not_null())
    ranked = snap.select(*PLAY, "offense", rank=pl.col("x").rank().over(PLAY))
    num_offense, num_defense = pl.col("offense").sum(), (~pl.col("offense")).sum()
    ahead = (pl.col("rank").filter("offense").sum() - num_offense * (num_offense + 1) / 2) / (num_offense * num_defense)
    plays = ranked.group_by(PLAY).agg(offense=num_offense, defense=num_defense, ahead=ahead)
    alone = plays.filter(pl.min_horizontal("offense", "defense") == 0)
    detail = pl.format("{} players", pl.col("offense") + pl.col("defense"))
    rows = screen.malformed(rows, alone.with_columns(detail=detail), "one team alone at the snap")
    mixed = plays.filter(
        pl.min_horizontal("offense", "defense") >= _MIN_SIDE, pl.col("ahead").is_between(_MIXED, 1 - _MIXED)
    )
    detail = pl.format("in {} % of pairs the offense is ahead", (100 * pl.col("ahead")).round())
    return screen.malformed(rows, mixed.with_columns(detail=detail), "the teams do not face each other along x")


def check_line(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` without malformed plays: the offense's front player is far from the ball at the snap.

    If a file has no ball, it is placed by the line of scrimmage, so this compares the positions with the listed line.
    `rows` must have the columns `offense` and `direction`; plays with fewer than four players of the offense pass.
    """
    snap = rows.filter(pl.col("frame") == 0)
    ball = snap.filter("is_ball").select(*PLAY, ball_x="x").unique(PLAY, keep="first", maintain_order=True)
    ahead = pl.when(pl.col("direction") == "left").then(pl.col("ball_x") - pl.col("x"))
    fronts = (
        snap.filter("offense").join(ball, on=PLAY).with_columns(ahead=ahead.otherwise(pl.col("x") - pl.col("ball_x")))
    )
    fronts = fronts.group_by(PLAY).agg(pl.len(), front=pl.col("ahead").max())
    far = fronts.filter(pl.col("len") >= _MIN_SIDE, pl.col("front").abs() > _MAX_FRONT_YARDS)
    where = pl.when(pl.col("front") > 0).then(pl.lit("ahead of")).otherwise(pl.lit("behind"))
    detail = pl.format("its front player is {} yards {} the ball", pl.col("front").abs().round(1), where)
    return screen.malformed(rows, far.with_columns(detail=detail), "the offense is far from the line of scrimmage")


def _moments(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("event").is_in(SNAP_EVENTS)).group_by(PLAY).agg(snap=pl.col("clock").min())


def _first_release(events: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    releases = events.filter(pl.col("event").is_in(RELEASE_EVENTS)).join(moments, on=PLAY)
    return releases.filter(pl.col("clock") > pl.col("snap")).group_by(PLAY).agg(release=pl.col("clock").min())
