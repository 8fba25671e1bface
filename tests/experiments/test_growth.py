"""The table of plays and parameters: nested training sets, sentences, the figure, a tiny table end to end."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments import growth as growth_page
from experiments import growth as scale
from experiments.growth import Growth
from experiments.shared.study import Options
from sbp_jax.errors import InputError
from sbp_jax.reporting.comparison import VERDICTS
from sbp_jax.runs.datasets import Dataset
from sbp_jax.runs.subset import FirstGames
from tests.plays import bare_plays

pytestmark = pytest.mark.unoptimized


def plays_of(games):
    return bare_plays(np.zeros(len(games)), game_id=games)


class FullDataset(Dataset):
    """30 training games of 40 to 69 plays, and two others."""

    @property
    def path(self):
        return Path("full")

    @property
    def fingerprint(self):
        return "abcd"

    def split(self, name):
        return plays_of(np.repeat(np.arange(30), np.arange(40, 70)) if name == "train" else [100, 100, 101])

    def account(self):
        return "account"


def test_training_sets_are_nested_and_of_entire_games():
    dataset = FullDataset()
    full = dataset.split("train")
    before, prints = set(), {dataset.fingerprint}
    for count in (30, 100, 400, 1000, len(full)):
        part = FirstGames(dataset, count)
        train = part.split("train")
        assert abs(len(train) - count) <= 35  # half of the longest game
        chosen = set(train.play_id.tolist())
        assert before <= chosen
        assert chosen == set(full.play_id[np.isin(full.game_id, np.unique(train.game_id))].tolist())
        assert np.all(np.diff(train.play_id) > 0)
        assert part.fingerprint not in prints
        assert FirstGames(FullDataset(), count).fingerprint == part.fingerprint
        assert (part.path, part.account()) == (Path("full"), "account")
        for name in ("validation", "test"):
            assert part.split(name).play_id.tolist() == dataset.split(name).play_id.tolist()
        before, prints = chosen, prints | {part.fingerprint}
    assert len(before) == len(full)


@pytest.mark.parametrize("count", [0, 1636])
def test_more_plays_than_there_are_is_one_line(count):
    with pytest.raises(InputError, match=rf"^expected 1 to 1,635 training plays, got {count:,}$"):
        FirstGames(FullDataset(), count).split("train")


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
    for axis, means in sizes.items():
        for value, (nll, crps) in means.items():
            for seed in range(seeds):
                # a seed deviates equally at every size; a flipped sign makes a difference insignificant
                luck = 0.01 * (seed - 1) * (-1 if value in (400, 2000) else 1)
                same = {"nll": nll + luck, "crps": crps + luck, "mae": 5.0, "pp_full": 0.01, "seconds": 60.0}
                rows.append({"arm": f"{value:,} {axis}", "axis": axis, "value": value, "seed": seed, **same})
    for arm, nll, crps in (("Marginal", 3.0, 6.0), ("Oracle", 2.0, 4.0)):
        rows.append({"arm": arm, "nll": nll, "crps": crps, "mae": 6.0, "pp_full": 0.02})
    return Growth("Growth", "About.", pl.DataFrame(rows, infer_schema_length=None).sample(fraction=1.0, seed=0))


def test_sentences_follow_from_the_numbers():
    assert growth_page.shares(made_up(), "plays") == [
        "Share of the NLL gap from training marginal to true distribution that is closed: 10% at 100 plays, 50% at 200 "
        "plays and 50% at 400 plays.",
        "Share of the CRPS gap from training marginal to true distribution that is closed: 50% at 100 plays, 75% at "
        "200 plays and 100% at 400 plays.",
    ]
    none = VERDICTS["no significant difference"]
    assert growth_page.helps(made_up(), "plays") == [
        f"NLL: more training plays are, paired by seed, better from 100 plays to 200 plays (-0.4000); {none} from "
        "200 plays to 400 plays (+0.0000); the best mean is at 200 plays.",
        "CRPS: more training plays are, paired by seed, better from 100 plays to 200 plays (-0.5000) and from 200 "
        "plays to 400 plays (-0.5000); the best mean is at 400 plays.",
        "The last step, from 200 plays to 400 plays, still helps by CRPS.",
    ]
    network = growth_page.helps(made_up(), "parameters")
    assert network[0].startswith("NLL: a larger network is, paired by seed, better from 1,000 parameters to 2,000")
    assert f"{none} from 1,000 parameters to 2,000 parameters" in network[1]
    assert network[2].endswith("still helps by NLL.")


def test_one_seed_shows_no_significant_difference():
    sentences = growth_page.helps(made_up(seeds=1), "plays")
    assert "better" not in " ".join(sentences)
    assert sentences[-1] == "The last step, from 200 plays to 400 plays, shows no improvement by either metric."


def test_the_page_has_every_size_with_its_interval():
    text = "\n\n".join(growth_page.report(made_up()))
    assert text.startswith("About. 3 seeds; mean and 95% interval over them.\n\n### By training plays\n")
    assert "| 100 | 2.9000 ± 0.0248 | 5.0000 ± 0.0248 | 5.0000 ± 0.0000 | 0.0100 ± 0.0000 | 10% | 50% |" in text
    assert "| Oracle | 2.0000 | 4.0000 | 6.0000 | 0.0200 |  |  |" in text
    assert "| 400 plays - 200 plays | 0.0000 ± 0.0497 | -0.5000 ± 0.0497 |" in text.replace("-0.0000", "0.0000")
    assert text.index("### By parameters") < text.index("| 2,000 |")
    short = growth_page.headline(made_up())
    assert [row[0] for row in short.rows] == ["100 plays", "200 plays", "400 plays", "Marginal", "Oracle"]
    assert short.rows[0][-2:] == ["10%", "50%"]
    assert len(short.sentences) == 4


def test_the_figure_is_drawn(tmp_path):
    growth_page.drawing(made_up(), tmp_path / "scale.png")
    assert (tmp_path / "scale.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_tiny_table_is_made_and_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scale, "QUICK", scale.Sizes(900, {200: 1, 500: 1}, (4, 64), 200))
    rows = scale.make(Options(seeds=1, quick=True), tmp_path / "runs")[0].rows
    assert rows["axis"].to_list() == ["plays", "plays", "parameters", "parameters", None, None]
    assert rows.select(growth_page.METRICS.keys()).null_count().sum_horizontal().item() == 0
    assert rows["seconds"].is_null().to_list() == [False, False, False, True, True, True]
    crps = dict(rows.select("arm", "crps").iter_rows())
    assert crps["Oracle"] < min(value for arm, value in crps.items() if arm != "Oracle")
    default = rows.filter(pl.col("axis") == "parameters")[-1]
    assert default["nll"].item() == rows["nll"][0]  # trained once
    capsys.readouterr()
    assert scale.make(Options(seeds=1, quick=True), tmp_path / "runs")[0].rows.equals(rows)
    assert "train " not in capsys.readouterr().err
