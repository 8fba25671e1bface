"""One true play in the layout of every publisher, with the lists that accompany it: the public schemas, in code."""

import gzip
from pathlib import Path

import polars as pl

from tests.data import fabricate

FILE_KINDS = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz", ".parquet.gz")
DESCRIPTION = "(12:34) (Shotgun) Q.Back pass short left to W.Receiver to JAX 62 for 7 yards (A.Tackler)."
LINEMEN = ("T", "G", "C")
RUSHERS = ("DE", "DT")
TRACKING = {
    "2023": "gameId playId nflId frameId time jerseyNumber team playDirection x y s a dis o dir event",
    "2024": "gameId playId nflId displayName frameId time jerseyNumber club playDirection x y s a dis o dir event",
    "2025": "gameId playId nflId displayName frameId frameType time jerseyNumber club playDirection x y s a dis o dir "
    "event",
    "2026": "game_id play_id player_to_predict nfl_id frame_id play_direction absolute_yardline_number player_name "
    "player_height player_weight player_birth_date player_position player_side player_role x y s a dir o "
    "num_frames_output ball_land_x ball_land_y",
}
LAYOUTS = {
    "2019": "Big Data Bowl 2019",
    "2021": "Big Data Bowl 2021",
    "2023": "Big Data Bowl 2023",
    "2024": "Big Data Bowl 2024",
    "2025": "Big Data Bowl 2025",
    "2026": "Big Data Bowl 2026",
    "highlights": "NGS highlights",
}


def tracking(layout: str, table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `fabricate.play` in a layout of `LAYOUTS`."""
    if layout == "2021":
        return table.with_columns(time=_time("%Y-%m-%dT%H:%M:%S%.3fZ"))
    if layout == "2019":
        return fabricate.as_2019(table)
    if layout == "highlights":
        return fabricate.as_highlights(table, DESCRIPTION)
    if layout == "2026":
        return _as_2026(table)
    club = pl.col("team").replace({"home": "TEN", "away": "JAX"})
    frame = pl.col("frameId") - fabricate.LEAD - 1
    kind = pl.when(frame < 0).then(pl.lit("BEFORE_SNAP")).when(frame == 0).then(pl.lit("SNAP"))
    return table.with_columns(
        time=_time("%Y-%m-%dT%H:%M:%S%.3f" if layout == "2023" else "%Y-%m-%d %H:%M:%S%.6f"),
        displayName=pl.col("displayName").replace("Football", "football"),
        event=pl.when(pl.col("event") != "None").then("event"),
        frameType=kind.otherwise(pl.lit("AFTER_SNAP")),
        team=club,
        club=club,
    ).select(TRACKING[layout].split())


def lists(layout: str, table: pl.DataFrame, result: str = "C", yards: float | None = 7.0) -> dict[str, pl.DataFrame]:
    """Return the files other than tracking by name, one play each in `table`, as the layout's publisher has them."""
    plays = fabricate.plays_table(table, result=result, yards=yards)
    games = fabricate.games_table(*table["gameId"].unique().sort())
    left = table.select("gameId", "playId", "playDirection").unique()
    absolute = plays.join(left, on=["gameId", "playId"], how="left", maintain_order="left").select(
        pl.when(pl.col("playDirection") == "left").then(79).otherwise(41).alias("absolute")
    )["absolute"]
    if layout == "highlights":
        return {}
    if layout in ("2019", "2021"):
        return {"plays.csv": plays, "games.csv": games}
    gone = ["offensePlayResult", "playResult", "playDescription"]
    plays = plays.with_columns(playDescription=pl.lit(DESCRIPTION), absoluteYardlineNumber=absolute)
    people = (
        table.filter(pl.col("nflId").is_not_null()).select("nflId", "displayName", "position").unique().sort("nflId")
    )
    body = {"height": pl.lit("6-2"), "weight": 215, "birthDate": pl.lit("1990-01-02"), "collegeName": pl.lit("Ohio")}
    people = people.with_columns(**body)
    ids = plays.select("gameId", "playId")
    if layout in ("2023", "2024"):
        # one of the columns includes the penalty's fifteen yards, the other does not
        plays = plays.with_columns(
            prePenaltyPlayResult="playResult", playResult=pl.col("playResult") + 15, penaltyYards=15
        ).drop("offensePlayResult")
        if layout == "2023":
            scouting = ids.with_columns(nflId=1000, pff_role=pl.lit("Pass"), pff_hurry=0)
            people = people.rename({"position": "officialPosition"})
            return {"plays.csv": plays, "games.csv": games, "players.csv": people, "pffScoutingData.csv": scouting}
        plays = plays.with_columns(passLength=3, playNullifiedByPenalty=pl.lit("N"))
        tackles = ids.with_columns(nflId=1511, tackle=1, assist=0, forcedFumble=0, pff_missedTackle=0)
        return {"plays.csv": plays, "games.csv": games, "players.csv": people, "tackles.csv": tackles}
    if layout == "2025":
        plays = plays.with_columns(
            prePenaltyYardsGained="playResult",
            yardsGained="playResult",
            timeToThrow=1.9,
            timeInTackleBox=1.5,
            passLength=3,
            expectedPoints=0.9,
            expectedPointsAdded=0.25,
            playNullifiedByPenalty=pl.lit("N"),
        ).drop(gone[:2])
        caused = pl.Series("causedPressure", ["FALSE", "TRUE", None])
        pairs = ids.join(pl.DataFrame({"nflId": [1511, 1512, 1000]}).with_columns(caused), how="cross")
        return {"plays.csv": plays, "games.csv": games, "players.csv": people, "player_play.csv": pairs}
    return {"supplementary_data.csv": _supplementary(plays, absolute), "output_2023_w04.csv": _flight(table)}


def publish(
    layout: str, table: pl.DataFrame, folder: Path, kind: str = ".csv", result: str = "C", yards: float | None = 7.0
) -> Path:
    """Write a play and its lists, all files of one kind; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"tracking.csv": tracking(layout, table), **lists(layout, table, result, yards)}
    for name, content in tables.items():
        write(content, folder / name.replace(".csv", kind))
    return folder


def write(table: pl.DataFrame, path: Path) -> Path:
    """Write a table in the format of its suffix, gzipped if it ends in .gz; return the path."""
    if path.suffix != ".gz":
        return fabricate.write(table, path)
    plain = fabricate.write(table, path.with_suffix(""))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return path


def _time(form: str) -> pl.Expr:
    stamp = pl.datetime(2018, 9, 9, 17, 0, 3) + pl.duration(milliseconds=pl.col("frameId") * 100)
    return stamp.dt.strftime(form)


def _as_2026(table: pl.DataFrame) -> pl.DataFrame:
    frame = pl.col("frameId") - fabricate.LEAD
    release = table.filter(pl.col("event") == "pass_forward")["frameId"][0] - fabricate.LEAD
    offense = table.filter(pl.col("position") == "QB")["team"][0]
    role = pl.when(pl.col("position") == "QB").then(pl.lit("Passer")).when(pl.col("team") != offense)
    role = role.then(pl.lit("Defensive Coverage")).otherwise(pl.lit("Other Route Runner"))
    unseen = pl.col("position").is_in([*LINEMEN, *RUSHERS]) | pl.col("nflId").is_null()
    return (
        table.filter(~unseen, frame.is_between(1, release))
        .with_columns(
            game_id="gameId",
            play_id="playId",
            player_to_predict=pl.lit("False"),
            nfl_id="nflId",
            frame_id=frame,
            play_direction="playDirection",
            absolute_yardline_number=pl.when(pl.col("playDirection") == "left").then(79).otherwise(41),
            player_name="displayName",
            player_height=pl.lit("6-2"),
            player_weight=215,
            player_birth_date=pl.lit("1990-01-02"),
            player_position="position",
            player_side=pl.when(pl.col("team") == offense).then(pl.lit("Offense")).otherwise(pl.lit("Defense")),
            player_role=role,
            num_frames_output=10,
            ball_land_x=50.0,
            ball_land_y=20.0,
        )
        .select(TRACKING["2026"].split())
        .sort("nfl_id", "frame_id")
    )


def _flight(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("nflId") == 1006).select(
        game_id="gameId", play_id="playId", nfl_id="nflId", frame_id="frameId", x="x", y="y"
    )


def _supplementary(plays: pl.DataFrame, absolute: pl.Series) -> pl.DataFrame:
    return plays.select(
        game_id="gameId",
        season=2018,
        week=4,
        game_date=pl.lit("09/09/2018"),
        game_time_eastern=pl.lit("13:00:00"),
        home_team_abbr=pl.lit("TEN"),
        visitor_team_abbr=pl.lit("JAX"),
        play_id="playId",
        play_description="playDescription",
        quarter="quarter",
        game_clock=pl.lit("12:34"),
        down="down",
        yards_to_go="yardsToGo",
        possession_team="possessionTeam",
        defensive_team=pl.lit("JAX"),
        yardline_side="yardlineSide",
        yardline_number="yardlineNumber",
        pre_snap_home_score="preSnapHomeScore",
        pre_snap_visitor_score="preSnapVisitorScore",
        play_nullified_by_penalty=pl.lit("N"),
        pass_result="passResult",
        pass_length=3,
        offense_formation=pl.lit("SHOTGUN"),
        pre_penalty_yards_gained="playResult",
        yards_gained=pl.col("playResult") - 10,
        expected_points=0.9,
        expected_points_added=0.25,
    )
