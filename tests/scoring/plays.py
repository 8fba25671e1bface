"""Scored plays drawn from the model of a league."""

import numpy as np
import polars as pl


def drawn(
    passers: int = 300,
    between: float = 0.12,
    games: float = 0.2,
    within: float = 1.0,
    mean: float = 0.05,
    most_games: int = 17,
    seed: int = 0,
) -> tuple[pl.DataFrame, np.ndarray]:
    """Plays of one season, and the truth of each passer; deviations between passers, their games and within."""
    r = np.random.default_rng(seed)
    truth = mean + between * r.standard_normal(passers)
    passer, game, effect, size = [], [], [], []
    for each in range(passers):
        for number in range(r.integers(1, most_games + 1)):
            passer.append(each)
            game.append(1000 * each + number)
            effect.append(truth[each] + games * r.standard_normal())
            size.append(r.integers(5, 45))
    rows = np.repeat(np.arange(len(passer)), size)
    score = np.array(effect)[rows] + within * r.standard_normal(len(rows))
    table = pl.DataFrame(
        {
            "passer_id": np.array(passer)[rows],
            "passer": np.char.add("P", np.array(passer)[rows].astype(str)),
            "season": 2020,
            "game_id": np.array(game)[rows],
            "play_id": np.arange(len(rows)),
            "score": score,
            "pit": 1 / (1 + np.exp(-score)),
        }
    )
    return table, truth
