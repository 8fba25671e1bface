"""Rows of tables from the results of training runs."""

from experiments.shared.study import rows_of


def test_rows_have_every_metric_and_why_one_is_missing():
    results = {
        ("SBP", 0): {"nll": 1.0, "seconds": 2.0, "other": 3.0},
        ("SBP", 1): {"diverged": "loss is inf at step 3"},
        ("Marginal", 0): {"nll": 2.0},
    }
    assert rows_of(results, ("nll", "crps")).to_dicts() == [
        {"arm": "SBP", "seed": 0, "nll": 1.0, "crps": None, "seconds": 2.0, "diverged": None},
        {"arm": "SBP", "seed": 1, "nll": None, "crps": None, "seconds": None, "diverged": "loss is inf at step 3"},
        {"arm": "Marginal", "seed": 0, "nll": 2.0, "crps": None, "seconds": None, "diverged": None},
    ]
