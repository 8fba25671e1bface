"""Small random plays for tests that do not need readers."""

import numpy as np

from sbp_jax.data.plays import PLAYER_FEATURES, PLAYERS, Plays


def random_plays(count: int, seed: int = 0, shortest: int = 5, longest: int = 30, num_static: int = 4) -> Plays:
    """Plays whose yards depend on the quarterback's last x and the first static feature.

    A tenth of the slots are empty, a sixth of the plays are touchdowns.
    """
    random = np.random.default_rng(seed)
    lengths = random.integers(shortest, longest + 1, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    present = random.random((offsets[-1], PLAYERS)) > 0.1
    present[:, 0] = True
    frames = random.normal(size=(offsets[-1], PLAYERS, PLAYER_FEATURES)).astype(np.float32)
    frames = np.where(present[:, :, None], frames, 0).astype(np.float32)
    static = random.normal(size=(count, num_static)).astype(np.float32)
    outcome = np.round(5 + 4 * frames[offsets[1:] - 1, 0, 0] + 2 * static[:, 0] + random.standard_t(3, count))
    touchdown = np.arange(count) % 6 == 1
    return Plays(
        frames=frames,
        offsets=offsets,
        present=present,
        static=static,
        outcome=outcome.astype(np.float32),
        game_id=np.arange(count, dtype=np.int64) // 10,
        play_id=np.arange(count, dtype=np.int64),
        passer_id=np.arange(count, dtype=np.int64) % 7,
        passer=np.array([f"Passer {i % 7}" for i in range(count)]),
        info={
            "touchdown": touchdown,
            "result": np.full(count, "C"),
            "yards_to_goal": np.where(touchdown, outcome, outcome + 10).astype(np.float32),
        },
    )


def bare_plays(outcome, game_id=None, play_id=None):
    """Plays with outcomes and ids only, one empty frame each; ids count up by default."""
    count = len(outcome)
    ids = np.arange(count, dtype=np.int64)
    return Plays(
        frames=np.zeros((count, 1, 2), np.float32),
        offsets=np.arange(count + 1, dtype=np.int64),
        present=np.ones((count, 1), bool),
        static=np.zeros((count, 1), np.float32),
        outcome=np.asarray(outcome, np.float32),
        game_id=ids if game_id is None else np.asarray(game_id, np.int64),
        play_id=ids if play_id is None else np.asarray(play_id, np.int64),
        passer_id=ids,
        passer=np.full(count, ""),
        features=("value", "seen"),
    )
