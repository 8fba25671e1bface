"""Prepared data sets of random plays, written without any reading of files."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sbp_jax.data.plays import INFO_TYPES, STATIC_FEATURES, Plays
from sbp_jax.data.prepared.build import report_of
from sbp_jax.data.prepared.dataset import RECIPE, Prepared, describe
from sbp_jax.data.prepared.quality import Distributions
from sbp_jax.data.prepared.records import save_chunk, write_records
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.data.readers.report import ReadReport
from tests.plays import random_plays

CHUNK = 500  # plays made at a time


def prepare_random(folder: Path, counts: Mapping[str, int], shortest: int = 5, longest: int = 30) -> Prepared:
    """Write a prepared data set of `random_plays` to `folder`, with `counts` plays per split; each split is a game."""
    folder.mkdir(parents=True)
    chunks, frames = [], dict.fromkeys(SPLITS, 0)
    for game, split in enumerate(SPLITS):
        for begin in range(0, counts.get(split, 0), CHUNK):
            some = min(CHUNK, counts[split] - begin)
            plays = random_plays(some, 1000 * game + begin, shortest, longest, len(STATIC_FEATURES))
            frames[split] += int(plays.offsets[-1])
            info = {name: np.zeros(some, kind) for name, kind in INFO_TYPES.items()} | dict(plays.info)
            own = {"game_id": np.full(some, game), "play_id": np.arange(begin, begin + some), "info": info}
            chunks.append(save_chunk(Plays(**{**vars(plays), **own}), folder / f"chunk-{len(chunks)}"))
    games = {split: [game] if counts.get(split) else [] for game, split in enumerate(SPLITS)}
    write_records(chunks, games, folder)
    for chunk in chunks:
        chunk.unlink()
    splits = {s: {"games": games[s], "plays": counts.get(s, 0), "frames": frames[s]} for s in SPLITS}
    report = report_of(ReadReport(), Distributions(), splits)
    report |= {"prepared_from": {"recipe": RECIPE, "random": dict(counts), "frames": frames}}
    (folder / "report.json").write_text(json.dumps(report))
    return describe(folder)
