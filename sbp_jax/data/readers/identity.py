"""Identify passers and players: those without an id get a number from name and team.

The page `docs/explanation/tracking-data.md` has the rules. Name and team together identify a person: a passer
without an id who changes teams gets two numbers, and so do namesakes on two teams.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from sbp_jax.data.readers.person_names import PersonName, split_name
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.digests import text_number

NO_PASSER = -1
# codes of other sources, and of teams that have moved -> current code
TEAMS = {
    "ARZ": "ARI",
    "BLT": "BAL",
    "CLV": "CLE",
    "HST": "HOU",
    "JAC": "JAX",
    "LAR": "LA",
    "OAK": "LV",
    "SD": "LAC",
    "SL": "LA",
    "STL": "LA",
    "WSH": "WAS",
}
_ROLES = ("home", "away", "offense", "defense")


@dataclass
class _Form:
    """One spelling of a passer's name in the plays of one team."""

    team: str
    text: str
    name: PersonName
    plays: int
    codes: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        return "|".join((self.team, *self.name.key))

    def may_be(self, other: "_Form") -> bool:
        one_code = not self.codes or not other.codes or bool(self.codes & other.codes)
        return self.name.may_be(other.name) and one_code


def franchise(team: pl.Expr) -> pl.Expr:
    """Return the current code of each team, in upper case."""
    return team.str.strip_chars().str.to_uppercase().replace(TEAMS)


def identify_passers(plays: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """Return `plays` with `player_id`, the passer's number, and each passer's most frequent name.

    The number comes from the list's code of the passer, on this play or on others with the same name and team
    ("00-0019596" and "19596.0" become 19596; any other code is hashed), else from name and team. Two names of one team
    with the same surname are one passer if the initials of one begin those of the other (`J.Allen`, `Jos.Allen`). They
    stay apart if a name fits two that differ, if their codes differ, or if the list of players has two such
    quarterbacks.

    Args:
        plays: `passer, passer_code, possession_team`, null if unknown.
        players: `position, listed_name` of the lists of players.

    Returns:
        The plays, with additional columns for `count_passers`.
    """
    rows = plays.with_columns(team=franchise(pl.col("possession_team")).fill_null(""))
    forms = _forms(rows)
    quarterbacks = players.filter(pl.col("position") == "QB")["listed_name"].drop_nulls().to_list()
    groups, apart = _by_person(forms, [split_name(name) for name in quarterbacks])
    table = pl.DataFrame(
        [(f.team, f.text, *_code_or_key(f, group), f in apart) for group in groups for f in group],
        schema={**dict.fromkeys(("team", "passer", "known_code", "key"), pl.String), "apart": pl.Boolean},
        orient="row",
    )
    rows = rows.join(table, on=["team", "passer"], how="left", maintain_order="left")
    rows = rows.with_columns(code=pl.coalesce("passer_code", "known_code"))
    number = rows["code"].str.extract(r"^(?:\d\d-)?(\d{1,15})(?:\.0)?$", 1).cast(pl.Int64)
    digest = _digests(rows.select(pl.coalesce(pl.format("code {}", "code"), "key")).to_series())
    rows = rows.with_columns(player_id=pl.coalesce(number, digest, pl.lit(NO_PASSER, pl.Int64)))
    names = rows.drop_nulls("passer").group_by("player_id", usual="passer").len()
    names = names.sort("len", pl.col("usual").str.len_chars(), "usual", descending=True).unique(
        "player_id", keep="first", maintain_order=True
    )
    rows = rows.join(names.drop("len"), on="player_id", how="left", maintain_order="left")
    has_name = pl.col("passer").is_not_null()
    return rows.with_columns(passer=pl.when(has_name).then("usual"), passer_text="passer").drop(
        "known_code", "key", "usual"
    )


def count_passers(rows: pl.DataFrame, report: ReadReport) -> None:
    """Count the plays by how `identify_passers` identified the passer, and the names that it merged or kept apart."""
    own, name, team = pl.col("passer_code").is_null(), pl.col("passer_text").is_not_null(), pl.col("team") != ""
    text = rows.filter(own, name)
    by_name = text.filter(pl.col("code").is_null())
    report.identify("plays with a passer by name and team, with the id of his other plays", len(text) - len(by_name))
    report.identify("plays with a passer by name and team, without an id", len(by_name.filter(team)))
    report.identify("plays with a passer by name alone, as they have no team", len(by_name.filter(~team)))
    report.identify("passers by name, without an id", by_name["player_id"].n_unique())
    report.identify("plays without a name or id of the passer", len(rows.filter(own, ~name)))
    names = pl.col("passer_text").n_unique() - 1
    further = by_name.group_by("team", "player_id").agg(names)["passer_text"]
    report.identify("further names of a passer of one team, by surname and initials: one passer", int(further.sum()))
    further = rows.filter(pl.col("code").is_not_null(), name).group_by("player_id").agg(names)["passer_text"]
    report.identify("further names of a passer with one id: one name", int(further.sum()))
    apart = rows.filter("apart").select("team", "passer_text").unique()
    report.identify("names of one team's passers that may be one man's: kept apart", len(apart))


def number_players(rows: pl.DataFrame, games: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """Return tracking `rows` with a `player_id` for all: a negative number from name and team without an id.

    If no file has a player's team, his name alone identifies him, unless both sides of the game have that name.

    Args:
        rows: `game_id, player_id, name, side, is_ball`; `side` is a team, "home", "away", "offense" or "defense".
        games: `game_id` with `home_team` and `visitor_team`, if known.
        report: counts the players who are identified from text.
    """
    missing = rows.filter(pl.col("player_id").is_null() & ~pl.col("is_ball") & pl.col("name").is_not_null())
    if missing.is_empty():
        return rows
    people = missing.select("game_id", "name", "side").unique()
    teams = {name: pl.lit(None, pl.String) for name in ("home_team", "visitor_team") if name not in games.columns}
    people = people.join(games.with_columns(**teams), on="game_id", how="left")
    label = pl.col("side").str.to_lowercase()
    team = pl.when(label == "home").then("home_team").when(label == "away").then("visitor_team")
    team = team.when(~label.is_in(_ROLES)).then("side")
    both = pl.col("side").n_unique().over("game_id", "name") > 1
    people = people.with_columns(team=franchise(pl.coalesce(team, pl.when(both).then("side"), pl.lit(""))))
    numbers = [
        -1 - text_number(f"{team}|{name}" if team else name, 7) for team, name in people.select("team", "name").rows()
    ]
    people = people.with_columns(number=pl.Series(numbers, dtype=pl.Int64))
    alone = int((people["team"] == "").sum())
    report.identify("players of a game without an id, by name and team", len(people) - alone)
    report.identify("players of a game without an id, by name alone, as no file has their team", alone)
    people = people.select("game_id", "name", "side", "number")
    rows = rows.join(people, on=["game_id", "name", "side"], how="left", nulls_equal=True, maintain_order="left")
    return rows.with_columns(player_id=pl.coalesce("player_id", "number")).drop("number")


def _forms(rows: pl.DataFrame) -> list[_Form]:
    counts = rows.drop_nulls("passer").group_by("team", "passer").agg(pl.len(), pl.col("passer_code").drop_nulls())
    return [
        _Form(team, text, split_name(text), plays, set(codes))
        for team, text, plays, codes in counts.sort("team", "passer").iter_rows()
    ]


def _by_person(forms: Sequence[_Form], quarterbacks: Sequence[PersonName]) -> tuple[list[list[_Form]], list[_Form]]:
    """Groups of forms that belong to one person, and forms that are kept apart although they may fit others."""
    by_surname: dict[tuple[str, str], list[_Form]] = {}
    for form in forms:
        by_surname.setdefault((form.team, form.name.key[1]), []).append(form)
    groups: list[list[_Form]] = []
    apart: list[_Form] = []
    for (team, _), namesakes in by_surname.items():
        # without a team, equal names are all that is known
        merged, alone = _cliques(namesakes, quarterbacks) if team else ([], namesakes)
        groups += [*merged, *([form] for form in alone)]
        apart += [f for f in alone if team and any(f.may_be(other) for other in namesakes if other is not f)]
    return groups, apart


def _cliques(forms: Sequence[_Form], quarterbacks: Sequence[PersonName]) -> tuple[list[list[_Form]], list[_Form]]:
    """Groups in which any two forms fit, and the forms that fit two different ones or contradict the list."""

    def fits(form: _Form) -> list[_Form]:
        return [other for other in rest if other is not form and form.may_be(other) and listed_as_one(form, other)]

    def listed_as_one(one: _Form, other: _Form) -> bool:
        people, others = ({name for name in quarterbacks if name.may_be(form.name)} for form in (one, other))
        return people == others and len(people) <= 1

    rest = list(forms)
    ambiguous = [f for f in rest if any(not a.may_be(b) for a in fits(f) for b in fits(f) if a is not b)]
    rest = [form for form in rest if form not in ambiguous]
    groups: list[list[_Form]] = []
    for form in rest:
        group = next((group for group in groups if all(other in fits(form) for other in group)), None)
        if group is None:
            groups.append([form])
        else:
            group.append(form)
    merged = [group for group in groups if len(group) > 1]
    return merged, [*ambiguous, *(group[0] for group in groups if len(group) == 1)]


def _code_or_key(form: _Form, group: Sequence[_Form]) -> tuple[str | None, str]:
    """The only code of this name, else of its group, None if there is no single one, and the group's text key."""
    everyone = set().union(*(each.codes for each in group))
    single = next((codes for codes in (form.codes, everyone) if len(codes) == 1), set())
    longest = max(group, key=lambda each: (*(len(part) for part in each.name.key), each.key))
    return next(iter(single), None), longest.key


def _digests(texts: pl.Series) -> pl.Series:
    distinct = texts.unique().drop_nulls().to_list()
    digests = {text: text_number(text, 8) >> 1 for text in distinct}
    return texts.replace_strict(digests, default=None, return_dtype=pl.Int64)
