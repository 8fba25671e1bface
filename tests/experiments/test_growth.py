"""The table of plays and parameters: nested training sets, sentences by rule, the figure, a tiny table to the end."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments import growth as growth_page
from experiments import growth as scale
from experiments.growth import Growth
from experiments.shared.study import Options
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset
from sbp_jax.runs.subset import FirstGames
from tests.plays import bare_plays

pytestmark = pytest.mark.unoptimized


def plays_of(games):
    return bare_plays(np.zeros(len(games)), game_id=games)


class Whole(Dataset):
    """30 games of 40 to 69 plays to train on, and another two."""

    @property
    def path(self):
        return Path("whole")

    @property
    def fingerprint(self):
        return "abcd"

    def split(self, name):
        return plays_of(np.repeat(np.arange(30), np.arange(40, 70)) if name == "train" else [100, 100, 101])

    def account(self):
        return "account"


def test_training_sets_are_nested_and_of_whole_games():
    whole = Whole()
    full = whole.split("train")
    before, prints = set(), {whole.fingerprint}
    for count in (30, 100, 400, 1000, len(full)):
        part = FirstGames(whole, count)
        train = part.split("train")
        assert abs(len(train) - count) <= 35  # half of the longest game
        chosen = set(train.play_id.tolist())
        assert before <= chosen
        assert chosen == set(full.play_id[np.isin(full.game_id, np.unique(train.game_id))].tolist())
        assert np.all(np.diff(train.play_id) > 0)
        assert part.fingerprint not in prints
        assert FirstGames(Whole(), count).fingerprint == part.fingerprint
        assert (part.path, part.account()) == (Path("whole"), "account")
        for name in ("validation", "test"):
            assert part.split(name).play_id.tolist() == whole.split(name).play_id.tolist()
        before, prints = chosen, prints | {part.fingerprint}
    assert len(before) == len(full)


@pytest.mark.parametrize("count", [0, 1636])
def test_more_plays_than_there_are_is_one_line(count):
    with pytest.raises(InputError, match=rf"^expected 1 to 1,635 training plays, got {count:,}$"):
        FirstGames(Whole(), count).split("train")


def test_the_hidden_layers_grow_with_the_width():
    base = scale.configs.get("demo")
    assert scale._of(base, 3, 1, base.network.channels).network == base.network
    wide = scale._of(base, 3, 1, 128)
    assert wide.network.hidden == (512, 256)
    assert (wide.training.epochs, wide.training.seed) == (3, 1)
    assert list(scale.FULL.epochs) == sorted(scale.FULL.epochs)
    assert base.network.channels in scale.FULL.channels


def made_up(seeds=3):
    """Marginal at 3 and 6, true distribution at 2 and 4; more plays help up to 400, a larger network by NLL alone."""
    sizes = {
        "plays": {100: (2.9, 5.0), 200: (2.5, 4.5), 400: (2.5, 4.0)},
        "parameters": {1000: (2.6, 4.5), 2000: (2.4, 4.5)},
    }
    rows = []
    for axis, found in sizes.items():
        for value, (nll, crps) in found.items():
            for seed in range(seeds):
                # the same start is as lucky at every size, but for a sign at the sizes that are not to be told apart
                luck = 0.01 * (seed - 1) * (-1 if value in (400, 2000) else 1)
                same = {"nll": nll + luck, "crps": crps + luck, "mae": 5.0, "pp_full": 0.01, "seconds": 60.0}
                rows.append({"arm": f"{value:,} {axis}", "axis": axis, "value": value, "seed": seed, **same})
    for arm, nll, crps in (("Marginal", 3.0, 6.0), ("Oracle", 2.0, 4.0)):
        rows.append({"arm": arm, "nll": nll, "crps": crps, "mae": 6.0, "pp_full": 0.02})
    return Growth("Growth", "About.", pl.DataFrame(rows, infer_schema_length=None).sample(fraction=1.0, seed=0))


def test_sentences_follow_from_the_numbers():
    assert growth_page.shares(made_up(), "plays") == [
        "Of the NLL gap between training marginal and true distribution it closes 10% at 100 plays, 50% at 200 plays "
        "and 50% at 400 plays.",
        "Of the CRPS gap between training marginal and true distribution it closes 50% at 100 plays, 75% at 200 "
        "plays and 100% at 400 plays.",
    ]
    assert growth_page.helps(made_up(), "plays") == [
        "NLL: more training plays are, seed by seed, better from 100 plays to 200 plays (-0.4000); no significant "
        "difference from 200 plays to 400 plays (+0.0000); the best mean is at 200 plays.",
        "CRPS: more training plays are, seed by seed, better from 100 plays to 200 plays (-0.5000) and from 200 plays "
        "to 400 plays (-0.5000); the best mean is at 400 plays.",
        "The last step, from 200 plays to 400 plays, still helps by CRPS.",
    ]
    network = growth_page.helps(made_up(), "parameters")
    assert network[0].startswith("NLL: a larger network is, seed by seed, better from 1,000 parameters to 2,000")
    assert "no significant difference from 1,000 parameters to 2,000 parameters" in network[1]
    assert network[2].endswith("still helps by NLL.")


def test_one_seed_tells_nothing_apart():
    said = growth_page.helps(made_up(seeds=1), "plays")
    assert "better" not in " ".join(said)
    assert said[-1] == "The last step, from 200 plays to 400 plays, is not seen to help by either figure."


def test_the_page_has_every_size_with_its_interval():
    text = "\n\n".join(growth_page.report(made_up()))
    assert text.startswith("About. 3 seeds; mean and 95% interval over them.\n\n### By training plays\n")
    assert "| 100 | 2.9000 ± 0.0248 | 5.0000 ± 0.0248 | 5.0000 ± 0.0000 | 0.0100 ± 0.0000 | 10% | 50% |" in text
    assert "| Oracle | 2.0000 | 4.0000 | 6.0000 | 0.0200 |  |  |" in text
    assert "| 400 plays less 200 plays | 0.0000 ± 0.0497 | -0.5000 ± 0.0497 |" in text.replace("-0.0000", "0.0000")
    assert text.index("### By parameters") < text.index("| 2,000 |")
    short = growth_page.headline(made_up())
    assert [row[0] for row in short.rows] == ["100 plays", "200 plays", "400 plays", "Marginal", "Oracle"]
    assert short.rows[0][-2:] == ["10%", "50%"]
    assert len(short.sentences) == 4


def test_the_figure_is_drawn(tmp_path):
    growth_page.drawing(made_up(), tmp_path / "scale.png")
    assert (tmp_path / "scale.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_tiny_table_is_made_and_gone_on_with(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scale, "QUICK", scale.Sizes(900, {200: 1, 500: 1}, (4, 64), 200))
    found = scale.make(Options(seeds=1, quick=True), tmp_path / "runs")[0]
    rows = found.rows
    assert rows["axis"].to_list() == ["plays", "plays", "parameters", "parameters", None, None]
    assert rows.select(growth_page.FIGURES.keys()).null_count().sum_horizontal().item() == 0
    assert rows["seconds"].is_null().to_list() == [False, False, False, True, True, True]
    crps = dict(rows.select("arm", "crps").iter_rows())
    assert crps["Oracle"] < min(value for arm, value in crps.items() if arm != "Oracle")
    default = rows.filter(pl.col("axis") == "parameters")[-1]
    assert default["nll"].item() == rows["nll"][0]  # trained once
    capsys.readouterr()
    assert scale.make(Options(seeds=1, quick=True), tmp_path / "runs")[0].rows.equals(rows)
    assert "train " not in capsys.readouterr().err
