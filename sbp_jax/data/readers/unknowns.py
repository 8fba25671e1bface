"""State why a column of the situation has no value: what the sources are missing."""

from collections.abc import Collection

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.identity import franchise
from sbp_jax.data.readers.report import ReadReport

# column of the situation -> the columns of a list of plays that it comes from (`play_lists.NAMES`)
_COLUMNS = {
    "quarter": "quarter (or qtr)",
    "down": "down",
    "distance": "yardsToGo (or ydstogo)",
    "clock_s": "gameClock (or game_clock, time, quarter_seconds_remaining)",
}
_NO_GAMES = "no list of games next to the files (columns gameId, {}), and no such column in the list of plays"


def count_unknown(plays: pl.DataFrame, columns: Collection[str], report: ReadReport) -> None:
    """Count the kept plays without a value in each of the columns; a column without missing values gets no entry."""
    for name in columns:
        missing = int((plays[name] == "").sum()) if plays.schema[name] == pl.String else plays[name].null_count()
        if missing:
            report.unknown[name] = report.unknown.get(name, 0) + missing


def reasons_unknown(plays: pl.DataFrame, games: pl.DataFrame) -> dict[str, str]:
    """Return the reason for a missing value, by column of the situation.

    Args:
        plays: the lists of plays under their common names; `clock` has the unparsed values of `clock_column`.
        games: the lists of games.
    """
    reasons = {
        name: f"the list of plays has {'few values' if _has(plays, name) else 'no column'} {column}"
        for name, column in _COLUMNS.items()
    }
    unread = plays.filter(pl.col("clock").is_not_null())
    if len(unread):
        reasons["clock_s"] = unread_clock(unread["clock_column"][0], unread["clock"][0])
    if len(games) and not len(plays.join(games, on="game_id", how="semi")):
        no_games = "the list of games has none of these games"
    else:
        no_games = _NO_GAMES
    reasons["season"] = "no column season, and the ids of the games are not dates"
    reasons["week"] = no_games.format("week")
    reasons["home"] = _home(plays, games, no_games)
    reasons["team"] = "the list of plays has no column possessionTeam (or posteam)"
    reasons["yards_to_goal"] = "the list of plays has no column yardlineNumber with yardlineSide, or yardline_100"
    scores = _has(plays, "home_score") and _has(plays, "visitor_score")
    reasons["score_difference"] = (
        f"the list of plays has the score, but not which team is at home: {reasons['home']}"
        if scores
        else "the list of plays has no columns preSnapHomeScore and preSnapVisitorScore, or score_differential"
    )
    return reasons


def unread_clock(column: str, value: str) -> str:
    """Return the reason for an unknown clock: a value that has none of the forms in `clocks`."""
    return f"column {column}: values such as {value[:40]!r} are not read; expected MM:SS, HH:MM:SS or seconds"


def _home(plays: pl.DataFrame, games: pl.DataFrame, no_games: str) -> str:
    if not _has(plays, "home_team") and not _has(games, "home_team"):
        return no_games.format("homeTeamAbbr, visitorTeamAbbr")
    if not _has(plays, "possession_team"):
        return "the list of plays has no column possessionTeam (or posteam), so the offense's team is unknown"
    teams = ["home_team", "visitor_team"]
    table = plays.select(*PLAY, "possession_team", *teams)
    if len(games):
        table = table.join(games.select("game_id", *(t for t in teams if t in games.columns)), on="game_id", how="left")
    both = (pl.coalesce(f"{t}_right" if f"{t}_right" in table.columns else t, t).alias(t) for t in teams)
    table = table.with_columns(both).drop_nulls(["possession_team", *teams])
    foreign = table.filter(~franchise(pl.col("possession_team")).is_in(pl.concat_list(franchise(pl.col(*teams)))))
    if len(foreign):
        team, home, visitor = foreign.select("possession_team", *teams).row(0)
        return f"the offense is {team!r} in the list of plays, but the game is {visitor!r} at {home!r}"
    return "the lists have the teams of few games"


def _has(table: pl.DataFrame, column: str) -> bool:
    return column in table.columns and table[column].null_count() < len(table)
