"""Who threw the ball, which team is the offense, and which way it moves, where a file does not say or is wrong."""

import re

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.kinematics import orientation_turns
from sbp_jax.data.readers.screen import Screen

_SETTLED_FRAMES = 3  # after the snap the ball is with the center
_RIVAL_SHARE = 0.25
DEFENSE_POSITIONS = (
    "DE",
    "DT",
    "NT",
    "DL",
    "LB",
    "ILB",
    "MLB",
    "OLB",
    "EDGE",
    "CB",
    "DB",
    "NB",
    "S",
    "SS",
    "FS",
    "SAF",
)


def nearest_to_ball(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each play's passer as the player nearest to the ball, by a vote in two stages.

    The mean distance to the ball between the third frame after the snap and the release names a player for every play.
    Alone it errs where a lineman or rusher ends up at the passer's feet. So the plays of a game first vote: a team's
    candidates are the players it names most often (and any with a quarter of that many plays, a substitute); each play
    then takes the nearest candidate, or, with none on the field, the nearest player.

    Args:
        rows: window rows, the ball's among them: `game_id, play_id, player_id, side, frame` (0 at the snap), `x, y`
            [yards], `is_ball`.

    Returns:
        `game_id, play_id, player_id`, one row per play with a ball after the third frame.
    """
    settled = rows.filter(pl.col("frame") >= _SETTLED_FRAMES)
    ball = settled.filter("is_ball").select(*PLAY, "frame", ball_x="x", ball_y="y")
    gap = ((pl.col("x") - pl.col("ball_x")) ** 2 + (pl.col("y") - pl.col("ball_y")) ** 2).sqrt()
    distance = (
        settled.filter(~pl.col("is_ball"))
        .join(ball, on=[*PLAY, "frame"])
        .group_by(*PLAY, "player_id", maintain_order=True)
        .agg(side=pl.col("side").first(), gap=gap.mean())
        .sort("gap", maintain_order=True)
    )
    named = distance.unique(PLAY, keep="first", maintain_order=True)
    votes = named.group_by("game_id", "side", "player_id").len()
    enough = pl.col("len") >= _RIVAL_SHARE * pl.col("len").max().over("game_id", "side")
    candidates = votes.filter(enough).select("game_id", "player_id", candidate=pl.lit(True))
    return (
        distance.join(candidates, on=["game_id", "player_id"], how="left")
        .sort(pl.col("candidate").fill_null(value=False), "gap", descending=[True, False], maintain_order=True)
        .unique(PLAY, keep="first", maintain_order=True)
        .select(*PLAY, "player_id")
    )


def find_offense(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each play's passer, the offense's side and the way it plays, by where the teams stand.

    The offense is the side with the possession flag, else that of the quarterback nearest to the ball at the snap, else
    the passer's. The passer is the player whose role says so, else the offense's quarterback by position, else the
    player nearest to the ball (`nearest_to_ball`) of the offense; where no flag tells it, of those whose position is
    not a defender's.

    Args:
        rows: window rows as for `nearest_to_ball`, with `position` and, where files say, `possession` (1 for offense)
            and `thrower`.

    Returns:
        `game_id, play_id, passer_id, side, direction` ("right" or "left": where the offense stands against the
        defense at the snap, by their median x), `lead` (yards between the two medians, null where one team is
        missing); plays without a passer are absent.
    """
    if "thrower" not in rows.columns:
        rows = rows.with_columns(thrower=pl.lit(False))
    snap = rows.filter(pl.col("frame") == 0)
    ball = snap.filter("is_ball").select(*PLAY, ball_x="x", ball_y="y").unique(PLAY, keep="first", maintain_order=True)
    players = snap.filter(~pl.col("is_ball")).join(ball, on=PLAY, how="left")
    gap = (pl.col("x") - pl.col("ball_x")) ** 2 + (pl.col("y") - pl.col("ball_y")) ** 2
    backs = players.filter((pl.col("position") == "QB").fill_null(value=False) | pl.col("thrower"))
    backs = backs.with_columns(gap=gap).sort(~pl.col("thrower"), "gap", maintain_order=True)
    has_ball = pl.col("possession") == 1 if "possession" in rows.columns else pl.lit(False)
    flagged = players.filter(has_ball).select(*PLAY, offense="side").unique(PLAY)
    backs = backs.join(flagged, on=PLAY, how="left").filter(
        pl.col("offense").is_null() | (pl.col("side") == pl.col("offense"))
    )
    # some plays of the 2021 format come without the offense: nobody of it, not the nearest rusher, is the passer
    defender = pl.col("position").is_in(DEFENSE_POSITIONS).fill_null(value=False)
    mate = pl.when(pl.col("offense").is_null()).then(~defender).otherwise(pl.col("side") == pl.col("offense"))
    rows = rows.join(flagged, on=PLAY, how="left").filter(pl.col("is_ball") | mate)
    backs = backs.unique(PLAY, keep="first", maintain_order=True).select(*PLAY, "player_id")
    others = nearest_to_ball(rows.join(backs, on=PLAY, how="anti"))
    passers = pl.concat([backs, others])
    found = passers.join(players.select(*PLAY, "player_id", "side"), on=[*PLAY, "player_id"])
    facing = players.join(found.select(*PLAY, offense="side"), on=PLAY)
    own = pl.col("x").filter(pl.col("side") == pl.col("offense")).median()
    other = pl.col("x").filter(pl.col("side") != pl.col("offense")).median()
    # not against the ball: at the snap event it is already up to two yards behind the line
    facing = facing.group_by(PLAY).agg(lead=other - own, ahead=pl.coalesce(other, pl.col("ball_x").first()) - own)
    return found.join(facing, on=PLAY).select(
        *PLAY,
        "side",
        "lead",
        passer_id="player_id",
        direction=pl.when(pl.col("ahead") >= 0).then(pl.lit("right")).otherwise(pl.lit("left")),
    )


CLEAR_LEAD_YARDS = 1.0  # at least 1.7 in the 285 plays of the real samples, and always the way the file tells


def settle_direction(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with the offense's `direction`: the told one unless where the teams stand contradicts it."""
    differ = (pl.col("direction") != pl.col("seen_direction")).fill_null(value=False)
    wrong = differ & (pl.col("lead").abs() >= CLEAR_LEAD_YARDS).fill_null(value=False)
    screen.report.repair(
        "direction of play against where the teams stand: taken from there", rows.filter(wrong).select(PLAY).n_unique()
    )
    told = pl.when(~wrong).then("direction")
    return rows.with_columns(direction=pl.coalesce(told, "seen_direction")).drop("lead", "seen_direction")


def turn_orientation(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with `o` put right in the games whose zero is another one (`kinematics.orientation_turns`)."""
    turned = orientation_turns(rows.filter(~pl.col("is_ball"))).filter(pl.col("turns") != 0)
    if turned.is_empty():
        return rows
    rows = rows.join(turned, on="game_id", how="left")
    plays = rows.filter(pl.col("turns").is_not_null()).select(PLAY).n_unique()
    screen.report.repair("plays with orientation turned by a quarter or half circle", plays)
    return rows.with_columns(o=pl.col("o") - 90.0 * pl.col("turns").fill_null(0)).drop("turns")


_THROWER = re.compile(r"(?<![\w.])([A-Z][A-Za-z]*)\.\s?([A-Z][\w'’-]*(?: [A-Z][\w'’-]*)?) (?:pass|spiked)")
_SUFFIXES = {"jr", "sr", "ii", "iii", "iv", "v"}
# the ball at the release event is 0.6 yards from the passer in half of the plays of 2021's layout and at most 2.1; in
# 2017's it is late, at 2.9: nothing is told from it there
_NEAR_YARDS, _CLEAR_YARDS = 2.5, 2.0


def settle_quarterbacks(rows: pl.DataFrame, plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with `passer_id` settled where the offense has two quarterbacks in a frame, each play counted.

    The thrower is the only one whom the description names before the word pass; where it names neither, the one within
    2.5 yards of the ball at the release, if the other is 2 yards farther from it. A play in which the two disagree, or
    nothing tells, is malformed. Where the file names the passer, a second quarterback is no riddle.

    Args:
        rows: window rows with `offense, passer_id, frames`.
        plays: `game_id, play_id, description`.
        screen: counts or stops.
    """
    backs = rows.filter("offense", pl.col("position") == "QB", pl.col("frame") >= 0)
    if "thrower" in rows.columns:
        backs = backs.join(rows.filter("thrower"), on=PLAY, how="anti")
    two = backs.group_by(*PLAY, "frame").agg(names=pl.col("name").sort()).filter(pl.col("names").list.len() > 1)
    if two.is_empty():
        return rows
    two = two.sort("frame").unique(PLAY, keep="first", maintain_order=True)
    told = two.select(PLAY).join(_by_text(rows, backs, plays), on=PLAY, how="left")
    told = told.join(_by_ball(rows, backs), on=PLAY, how="left")
    agree = pl.col("named").eq_missing(pl.col("nearest")) | pl.col("named").is_null() | pl.col("nearest").is_null()
    told = told.with_columns(thrower_id=pl.when(agree).then(pl.coalesce("named", "nearest")))
    found = pl.format("{} at frame {}", pl.col("names").list.join(" and "), "frame")
    open_ = two.join(told.filter(pl.col("thrower_id").is_null()), on=PLAY, how="semi").with_columns(found=found)
    rows = screen.malformed(rows, open_, "two quarterbacks of the offense")
    settled = told.filter(pl.col("thrower_id").is_not_null()).select(*PLAY, "thrower_id")
    screen.report.repair("plays with two quarterbacks: the thrower told by the description or the ball", len(settled))
    rows = rows.join(settled, on=PLAY, how="left", maintain_order="left")
    return rows.with_columns(passer_id=pl.coalesce("thrower_id", "passer_id")).drop("thrower_id")


def _by_text(rows: pl.DataFrame, backs: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """The only quarterback named as the thrower, `named`."""
    said = plays.select(*PLAY, text="description")
    if "description" in rows.columns:
        own = rows.group_by(PLAY).agg(own=pl.col("description").drop_nulls().first())
        said = said.join(own, on=PLAY, how="left").select(*PLAY, text=pl.coalesce("text", "own"))
    people = backs.select(*PLAY, "player_id", "name").unique([*PLAY, "player_id"]).join(said, on=PLAY)
    hits = [_is_named(name or "", text or "") for name, text in people.select("name", "text").iter_rows()]
    named = people.filter(pl.Series(hits, dtype=pl.Boolean)).group_by(PLAY).agg(pl.len(), pl.col("player_id").first())
    return named.filter(pl.col("len") == 1).select(*PLAY, named="player_id")


def _is_named(name: str, text: str) -> bool:
    thrower = _THROWER.search(text.rsplit("REVERSED", 1)[-1])
    words = [word for word in name.split() if word.rstrip(".").lower() not in _SUFFIXES]
    if thrower is None or len(words) < 2:
        return False
    initial, surname = thrower[1][0].lower(), thrower[2].lower()
    return words[0].lower().startswith(initial) and " ".join(words[1:]).lower() == surname


def _by_ball(rows: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """The quarterback who clearly is at the ball at the release, `nearest`."""
    release = pl.col("frame") == pl.col("frames") - 1
    ball = rows.filter("is_ball", release).select(*PLAY, "frame", ball_x="x", ball_y="y")
    gap = ((pl.col("x") - pl.col("ball_x")) ** 2 + (pl.col("y") - pl.col("ball_y")) ** 2).sqrt()
    gaps = backs.join(ball, on=[*PLAY, "frame"]).with_columns(gap=gap).sort("gap").group_by(PLAY, maintain_order=True)
    first = gaps.agg(
        nearest=pl.col("player_id").first(), gap=pl.col("gap").first(), other=pl.col("gap").get(1, null_on_oob=True)
    )
    near = first.filter(pl.col("gap") <= _NEAR_YARDS, pl.col("other") - pl.col("gap") >= _CLEAR_YARDS)
    return near.select(*PLAY, "nearest")
