"""Who threw the ball, which team is the offence, and which way it moves, where a file does not say."""

import polars as pl

PLAY = ["game_id", "play_id"]
_SETTLED_FRAMES = 3  # after the snap the ball is with the centre
_RIVAL_SHARE = 0.25
DEFENCE_POSITIONS = (
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
        `game_id, play_id, player_id`, one row a play with a ball after the third frame.
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


def find_offence(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each play's passer, the offence's side and the way it plays, by where the teams stand.

    The offence is the side with the possession flag, else that of the quarterback nearest to the ball at the snap, else
    the passer's. The passer is the player whose role says so, else the offence's quarterback by position, else the
    player nearest to the ball (`nearest_to_ball`) of the offence; where no flag tells it, of those whose position is
    not a defender's.

    Args:
        rows: window rows as for `nearest_to_ball`, with `position` and, where files say, `possession` (1 for offence)
            and `thrower`.

    Returns:
        `game_id, play_id, passer_id, side, direction` ("right" or "left": where the offence stands against the
        defence at the snap, by their median x), `lead` (yards between the two medians, null where one team is
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
    flagged = players.filter(has_ball).select(*PLAY, offence="side").unique(PLAY)
    backs = backs.join(flagged, on=PLAY, how="left").filter(
        pl.col("offence").is_null() | (pl.col("side") == pl.col("offence"))
    )
    # some plays of the 2021 format come without the offence: nobody of it, not the nearest rusher, is the passer
    defender = pl.col("position").is_in(DEFENCE_POSITIONS).fill_null(value=False)
    mate = pl.when(pl.col("offence").is_null()).then(~defender).otherwise(pl.col("side") == pl.col("offence"))
    rows = rows.join(flagged, on=PLAY, how="left").filter(pl.col("is_ball") | mate)
    backs = backs.unique(PLAY, keep="first", maintain_order=True).select(*PLAY, "player_id")
    others = nearest_to_ball(rows.join(backs, on=PLAY, how="anti"))
    passers = pl.concat([backs, others])
    found = passers.join(players.select(*PLAY, "player_id", "side"), on=[*PLAY, "player_id"])
    facing = players.join(found.select(*PLAY, offence="side"), on=PLAY)
    own = pl.col("x").filter(pl.col("side") == pl.col("offence")).median()
    other = pl.col("x").filter(pl.col("side") != pl.col("offence")).median()
    # not against the ball: at the snap event it is already up to two yards behind the line
    facing = facing.group_by(PLAY).agg(lead=other - own, ahead=pl.coalesce(other, pl.col("ball_x").first()) - own)
    return found.join(facing, on=PLAY).select(
        *PLAY,
        "side",
        "lead",
        passer_id="player_id",
        direction=pl.when(pl.col("ahead") >= 0).then(pl.lit("right")).otherwise(pl.lit("left")),
    )
