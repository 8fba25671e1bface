"""Handmade plays in the layouts of the publishers: 22 players on straight lines, so that every feature is known."""

from pathlib import Path

import numpy as np
import polars as pl

LEAD, TAIL = 5, 3
LINE_OF_SCRIMMAGE_X, BALL_Y = 40.0, 26.65
# position, x and y relative to the ball at the snap, speed and direction of motion (degrees counterclockwise from +x)
OFFENSE = [
    ("QB", -5.0, 0.0, 2.0, 180.0),
    *(("T" if abs(y) > 3 else "G" if y else "C", -0.8, y, 0.5, 180.0) for y in (3.6, 1.8, 0.0, -1.8, -3.6)),
    ("WR", -0.5, 20.0, 7.0, 0.0),
    ("WR", -0.5, 12.0, 6.0, 10.0),
    ("TE", -0.9, 5.5, 5.0, 350.0),
    ("RB", -5.0, -2.0, 4.0, 300.0),
    ("WR", -0.5, -18.0, 8.0, 5.0),
]
DEFENSE = [
    *(("DE", 1.0, y, 3.0, 180.0) for y in (4.0, -4.0)),
    *(("DT", 1.0, y, 2.0, 170.0) for y in (1.2, -1.2)),
    *(("OLB", 4.5, y, 1.5, 0.0) for y in (6.0, -2.5)),
    ("ILB", 5.0, 0.5, 1.0, 90.0),
    *(("CB", 6.0, y, 5.0, 0.0) for y in (19.0, -17.0, 11.0)),
    ("FS", 14.0, 0.0, 3.0, 0.0),
]


def play(
    game: int = 2018090900,
    number: int = 75,
    frames: int = 20,
    direction: str = "right",
    offense: str = "home",
    seed: int = 0,
) -> pl.DataFrame:
    """Return a play in the 2021 layout; `seed` shifts the starting positions by up to half a yard."""
    random = np.random.default_rng(seed)
    defense = "away" if offense == "home" else "home"
    people = [(offense, *row) for row in OFFENSE] + [(defense, *row) for row in DEFENSE]
    frame = np.arange(-LEAD, frames + TAIL)
    rows = []
    for number_of_player, (side, position, dx, dy, speed, heading) in enumerate(people):
        jx, jy = (0.0, 0.0) if seed == 0 else random.uniform(-0.5, 0.5, 2).round(2)
        angle = np.deg2rad(heading)
        rows.append(
            pl.DataFrame(
                {
                    "x": LINE_OF_SCRIMMAGE_X + dx + jx + speed * np.cos(angle) * frame / 10,
                    "y": BALL_Y + dy + jy + speed * np.sin(angle) * frame / 10,
                    "s": float(speed),
                    "dir": (90.0 - heading) % 360,
                    "o": 90.0 if side == offense else 270.0,
                    "frameId": frame + LEAD + 1,
                    "nflId": 1000 + number_of_player + (0 if side == "home" else 500),
                    "displayName": f"{position} {number_of_player}",
                    "position": position,
                    "team": side,
                }
            )
        )
    passer = rows[0]
    carried = pl.Series(frame >= 2)
    ball = passer.with_columns(
        x=pl.when(carried).then(passer["x"]).otherwise(LINE_OF_SCRIMMAGE_X),
        y=pl.when(carried).then(passer["y"]).otherwise(BALL_Y),
        dir=pl.lit(None, pl.Float64),
        o=pl.lit(None, pl.Float64),
        nflId=pl.lit(None, pl.Int64),
        displayName=pl.lit("Football"),
        position=pl.lit(None, pl.String),
        team=pl.lit("football"),
    )
    release = LEAD + frames
    table = pl.concat([*rows, ball], how="vertical_relaxed").with_columns(
        event=pl.when(pl.col("frameId") == LEAD + 1)
        .then(pl.lit("ball_snap"))
        .when(pl.col("frameId") == release)
        .then(pl.lit("pass_forward"))
        .otherwise(pl.lit("None")),
        gameId=pl.lit(game),
        playId=pl.lit(number),
        playDirection=pl.lit(direction),
        jerseyNumber=pl.lit(1.0),
        a=pl.lit(0.0),
        dis=pl.lit(0.0),
        route=pl.lit(None, pl.String),
        time=pl.lit("2018-09-09T17:00:00.000Z"),
    )
    if direction == "left":
        turned = [((pl.col(c) + 180.0) % 360.0).alias(c) for c in ("dir", "o")]
        table = table.with_columns(*turned, x=120.0 - pl.col("x"), y=53.3 - pl.col("y"))
    return table


def plays_table(*tracking: pl.DataFrame, result: str = "C", yards: float | None = 7.0) -> pl.DataFrame:
    """Return a 2021 list of the plays in `tracking`, each with one outcome."""
    ids = pl.concat([table.select("gameId", "playId").unique() for table in tracking]).sort("gameId", "playId")
    return ids.with_columns(
        playDescription=pl.lit("(12:34) (Shotgun) Q.Back pass short left to W.Receiver for 7 yards."),
        quarter=2,
        down=3,
        yardsToGo=8,
        possessionTeam=pl.lit("TEN"),
        yardlineSide=pl.lit("TEN"),
        yardlineNumber=31,
        preSnapVisitorScore=10,
        preSnapHomeScore=3,
        gameClock=pl.lit("12:34:00"),
        passResult=pl.lit(result),
        offensePlayResult=pl.lit(yards, pl.Float64),
        playResult=pl.lit(yards, pl.Float64),
    )


def games_table(*games: int) -> pl.DataFrame:
    """Return a list of games, all of week 4, TEN at home against JAX."""
    return pl.DataFrame({"gameId": games}).with_columns(
        week=4, homeTeamAbbr=pl.lit("TEN"), visitorTeamAbbr=pl.lit("JAX")
    )


def as_2019(table: pl.DataFrame) -> pl.DataFrame:
    """Return 2021 rows in the 2019 layout: no orientation, position or direction, ids as floats."""
    return table.select(
        pl.col("time"),
        pl.col("x", "y", "s", "dis", "dir"),
        event=pl.when(pl.col("event") != "None").then("event"),
        nflId=pl.col("nflId").cast(pl.Float64),
        displayName=pl.col("displayName").replace("Football", "ball"),
        team=pl.col("team").replace("football", "ball"),
        **{"frame.id": pl.col("frameId").cast(pl.Float64)},
        gameId=pl.col("gameId").cast(pl.Float64),
        playId=pl.col("playId").cast(pl.Float64),
    )


def as_highlights(table: pl.DataFrame, description: str, copy: str = "play_data/a.tsv") -> pl.DataFrame:
    """Return 2021 rows in the highlights' layout; every player has his own frame counter with its own start."""
    ball = pl.col("team") == "football"
    stamp = pl.datetime(2018, 9, 9, 18, 50, 10) + pl.duration(milliseconds=pl.col("frameId") * 100)
    return table.select(
        pl.col("gameId", "playId", "playDirection", "x", "y", "s", "o", "dir", "position"),
        season=2018,
        week=1,
        preSnapHomeScore=7,
        preSnapVisitorScore=3,
        quarter=4,
        gameClock=pl.lit("00:10"),
        down=2,
        yardsToGo=5,
        absoluteYardlineNumber=pl.when(pl.col("playDirection") == "left").then(79).otherwise(41),
        possessionFlag=pl.when(~ball).then((pl.col("team") == "home").cast(pl.Float64)),
        homeTeamFlag=pl.when(~ball).then((pl.col("team") == "home").cast(pl.Float64)),
        teamAbbr=pl.when(pl.col("team") == "home").then(pl.lit("PIT")).when(~ball).then(pl.lit("CLE")),
        frame=pl.col("frameId") + pl.col("nflId").fill_null(3) % 7,
        displayName=pl.col("displayName").replace("Football", "ball"),
        nflId=pl.col("nflId").cast(pl.Float64),
        time=stamp.dt.strftime("%Y-%m-%d %H:%M:%S%.3f"),
        event=pl.when(pl.col("event") != "None").then("event"),
        playDescription=pl.lit(description),
        srcFile=pl.lit(copy),
    )


def write(table: pl.DataFrame, path: Path) -> Path:
    """Write a table in the format of its suffix."""
    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",", null_value="NA")
    return path


def folder(path: Path, plays: int = 3, games: int = 1) -> Path:
    """Write a complete folder in the 2021 layout: `plays` plays in each of `games` games of week 4, and the lists."""
    path.mkdir(parents=True, exist_ok=True)
    numbers = range(2018090900, 2018090900 + games)
    tracking = [
        play(game, 50 + 25 * i, frames=12 + (7 * i) % 15, direction=("right", "left")[i % 2], seed=1 + i + 100 * game)
        for game in numbers
        for i in range(plays)
    ]
    write(pl.concat(tracking), path / "tracking_week_04.parquet")
    write(plays_table(*tracking), path / "plays.csv")
    write(games_table(*numbers), path / "games.csv")
    return path
