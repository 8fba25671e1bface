"""Passer, offense and direction of play of each play, if a file does not record them or is wrong."""

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.kinematics import orientation_turns
from sbp_jax.data.readers.person_names import throws
from sbp_jax.data.readers.screen import Screen

_SETTLED_FRAMES = 3  # right after the snap the ball is still near the center
_CANDIDATE_SHARE = 0.25
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

    The mean distance to the ball between the third frame after the snap and the release suggests a player for every
    play. This fails if a lineman or rusher ends up at the passer's feet. So the plays of a game vote first: a team's
    candidates are the player suggested most often and any (a substitute) with at least a quarter of that number. Each
    play then gets the nearest candidate, or the nearest player if no candidate is on the field.

    Args:
        rows: window rows including the ball's: `game_id, play_id, player_id, side, frame` (0 at the snap), `x, y`
            [yards], `is_ball`.

    Returns:
        `game_id, play_id, player_id`, one row per play with a ball after the third frame.
    """
    late = rows.filter(pl.col("frame") >= _SETTLED_FRAMES)
    ball = late.filter("is_ball").select(*PLAY, "frame", ball_x="x", ball_y="y")
    gap = ((pl.col("x") - pl.col("ball_x")) ** 2 + (pl.col("y") - pl.col("ball_y")) ** 2).sqrt()
    distance = (
        late.filter(~pl.col("is_ball"))
        .join(ball, on=[*PLAY, "frame"])
        .group_by(*PLAY, "player_id", maintain_order=True)
        .agg(side=pl.col("side").first(), gap=gap.mean())
        .sort("gap", maintain_order=True)
    )
    nearest = distance.unique(PLAY, keep="first", maintain_order=True)
    votes = nearest.group_by("game_id", "side", "player_id").len()
    enough = pl.col("len") >= _CANDIDATE_SHARE * pl.col("len").max().over("game_id", "side")
    candidates = votes.filter(enough).select("game_id", "player_id", candidate=pl.lit(True))
    return (
        distance.join(candidates, on=["game_id", "player_id"], how="left")
        .sort(pl.col("candidate").fill_null(value=False), "gap", descending=[True, False], maintain_order=True)
        .unique(PLAY, keep="first", maintain_order=True)
        .select(*PLAY, "player_id")
    )


def find_offense(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each play's passer, the offense's side and its direction of play, from the positions of the teams.

    The offense is the side with the possession flag, else that of the quarterback nearest to the ball at the snap, else
    the passer's. The passer is the player with that role, else the offense's quarterback by position, else the
    offense's player nearest to the ball (`nearest_to_ball`). If no flag identifies the offense, that player is chosen
    among those whose position is not a defender's.

    Args:
        rows: window rows as for `nearest_to_ball`, with `position` and, if files have them, `possession` (1 for
            offense) and `thrower`.

    Returns:
        `game_id, play_id, passer_id, side, direction` ("right" or "left": the offense relative to the defense at the
        snap, by their median x), `lead` (yards between the two medians, null if one team is missing); plays without a
        passer are absent.
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
    possession = players.filter(has_ball).select(*PLAY, offense="side").unique(PLAY)
    backs = backs.join(possession, on=PLAY, how="left").filter(
        pl.col("offense").is_null() | (pl.col("side") == pl.col("offense"))
    )
    # some plays of the 2021 format have no offense: then nobody is the passer, least of all the nearest rusher
    defender = pl.col("position").is_in(DEFENSE_POSITIONS).fill_null(value=False)
    mate = pl.when(pl.col("offense").is_null()).then(~defender).otherwise(pl.col("side") == pl.col("offense"))
    rows = rows.join(possession, on=PLAY, how="left").filter(pl.col("is_ball") | mate)
    backs = backs.unique(PLAY, keep="first", maintain_order=True).select(*PLAY, "player_id")
    others = nearest_to_ball(rows.join(backs, on=PLAY, how="anti"))
    passers = pl.concat([backs, others])
    passers = passers.join(players.select(*PLAY, "player_id", "side"), on=[*PLAY, "player_id"])
    facing = players.join(passers.select(*PLAY, offense="side"), on=PLAY)
    offense_x = pl.col("x").filter(pl.col("side") == pl.col("offense")).median()
    defense_x = pl.col("x").filter(pl.col("side") != pl.col("offense")).median()
    # not relative to the ball: at the snap event it is already up to two yards behind the line
    facing = facing.group_by(PLAY).agg(
        lead=defense_x - offense_x, ahead=pl.coalesce(defense_x, pl.col("ball_x").first()) - offense_x
    )
    return passers.join(facing, on=PLAY).select(
        *PLAY,
        "side",
        "lead",
        passer_id="player_id",
        direction=pl.when(pl.col("ahead") >= 0).then(pl.lit("right")).otherwise(pl.lit("left")),
    )


CLEAR_LEAD_YARDS = 1.0  # at least 1.7 in the 285 plays of the real samples, always in the direction that the file has


def settle_direction(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with the offense's `direction`: the file's, unless the positions at the snap contradict it.

    If they contradict the directions of motion, too (`against`), the positions are mirrored: the play is malformed.
    """
    conflict = (pl.col("direction") != pl.col("seen_direction")).fill_null(value=False)
    wrong = conflict & (pl.col("lead").abs() >= CLEAR_LEAD_YARDS).fill_null(value=False)
    mirrored = rows.filter(wrong, pl.col("against").fill_null(value=False)).unique(PLAY)
    detail = pl.lit("at the snap the teams stand, and then the players move, against the recorded directions")
    rows = screen.malformed(rows, mirrored.with_columns(detail=detail), "positions are mirrored")
    screen.report.repair(
        "direction of play contradicts the positions at the snap: replaced by theirs",
        rows.filter(wrong).select(PLAY).n_unique(),
    )
    file_direction = pl.when(~wrong).then("direction")
    return rows.with_columns(direction=pl.coalesce(file_direction, "seen_direction")).drop(
        "lead", "seen_direction", "against"
    )


def turn_orientation(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with `o` corrected in games with a different zero angle (`kinematics.orientation_turns`)."""
    turns = orientation_turns(rows.filter(~pl.col("is_ball"))).filter(pl.col("turns") != 0)
    if turns.is_empty():
        return rows
    rows = rows.join(turns, on="game_id", how="left")
    plays = rows.filter(pl.col("turns").is_not_null()).select(PLAY).n_unique()
    screen.report.repair("plays with orientation turned by a quarter or half circle", plays)
    return rows.with_columns(o=pl.col("o") - 90.0 * pl.col("turns").fill_null(0)).drop("turns")


# at the release event the ball is 0.6 yards (median) and at most 2.1 yards from the passer in 2021's layout; in 2017's
# the event is late and the distance is 2.9 yards, so the ball does not identify the passer
_NEAR_YARDS, _CLEAR_YARDS = 2.5, 2.0


def settle_quarterbacks(rows: pl.DataFrame, plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with `passer_id` settled if the offense has two quarterbacks in a frame; such plays are counted.

    The thrower is the only one whom the description names before the word pass. If it names neither, he is the one
    within 2.5 yards of the ball at the release, provided that the other is at least 2 yards farther away. A play is
    malformed if the two criteria disagree or neither applies. If the file itself names the passer, a second quarterback
    does not matter.

    Args:
        rows: window rows with `offense, passer_id, frames`.
        plays: `game_id, play_id, description`.
        screen: counts the malformed plays or stops at the first.
    """
    backs = rows.filter("offense", pl.col("position") == "QB", pl.col("frame") >= 0)
    if "thrower" in rows.columns:
        backs = backs.join(rows.filter("thrower"), on=PLAY, how="anti")
    two = backs.group_by(*PLAY, "frame").agg(names=pl.col("name").sort()).filter(pl.col("names").list.len() > 1)
    if two.is_empty():
        return rows
    two = two.sort("frame").unique(PLAY, keep="first", maintain_order=True)
    throwers = two.select(PLAY).join(_by_text(rows, backs, plays), on=PLAY, how="left")
    throwers = throwers.join(_by_ball(rows, backs), on=PLAY, how="left")
    agree = pl.col("named").eq_missing(pl.col("nearest")) | pl.col("named").is_null() | pl.col("nearest").is_null()
    throwers = throwers.with_columns(thrower_id=pl.when(agree).then(pl.coalesce("named", "nearest")))
    detail = pl.format("{} at frame {}", pl.col("names").list.join(" and "), "frame")
    unsettled = throwers.filter(pl.col("thrower_id").is_null())
    unsettled = two.join(unsettled, on=PLAY, how="semi").with_columns(detail=detail)
    rows = screen.malformed(rows, unsettled, "two quarterbacks of the offense")
    choices = throwers.filter(pl.col("thrower_id").is_not_null()).select(*PLAY, "thrower_id")
    screen.report.repair("plays with two quarterbacks: thrower identified by description or ball", len(choices))
    rows = rows.join(choices, on=PLAY, how="left", maintain_order="left")
    return rows.with_columns(passer_id=pl.coalesce("thrower_id", "passer_id")).drop("thrower_id")


def _by_text(rows: pl.DataFrame, backs: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """The only quarterback named as the thrower, `named`."""
    texts = plays.select(*PLAY, text="description")
    if "description" in rows.columns:
        own_texts = rows.group_by(PLAY).agg(own_text=pl.col("description").drop_nulls().first())
        texts = texts.join(own_texts, on=PLAY, how="left").select(*PLAY, text=pl.coalesce("text", "own_text"))
    people = backs.select(*PLAY, "player_id", "name").unique([*PLAY, "player_id"]).join(texts, on=PLAY)
    hits = [throws(name or "", text or "") for name, text in people.select("name", "text").iter_rows()]
    matches = people.filter(pl.Series(hits, dtype=pl.Boolean)).group_by(PLAY).agg(pl.len(), pl.col("player_id").first())
    return matches.filter(pl.col("len") == 1).select(*PLAY, named="player_id")


def _by_ball(rows: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """The quarterback who is clearly nearest to the ball at the release, `nearest`."""
    release = pl.col("frame") == pl.col("frames") - 1
    ball = rows.filter("is_ball", release).select(*PLAY, "frame", ball_x="x", ball_y="y")
    gap = ((pl.col("x") - pl.col("ball_x")) ** 2 + (pl.col("y") - pl.col("ball_y")) ** 2).sqrt()
    gaps = backs.join(ball, on=[*PLAY, "frame"]).with_columns(gap=gap).sort("gap").group_by(PLAY, maintain_order=True)
    first = gaps.agg(
        nearest=pl.col("player_id").first(), gap=pl.col("gap").first(), other=pl.col("gap").get(1, null_on_oob=True)
    )
    near = first.filter(pl.col("gap") <= _NEAR_YARDS, pl.col("other") - pl.col("gap") >= _CLEAR_YARDS)
    return near.select(*PLAY, "nearest")
