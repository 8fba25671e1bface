"""The models: each fits a configuration to training data; every baseline chooses among the same number of them.

Each of the four configurations of a baseline is fitted to 80 % of the training part. The other 20 % serve for early
stopping of boosting, and for the choice: the configuration with the smallest CRPS on them is fitted again to the entire
training part, with the same number of rounds. The scale "log" is log(y + c), where c is 0 for positive outcomes, and
otherwise the smallest positive one; predicted mass below zero is moved to zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import genpareto, lognorm, norm
from scipy.stats import t as student

from experiments.regression.predictive import LEVELS, Frozen, LogScale, Ours, Predictive, Quantiles, Tail, ZeroAdjusted
from experiments.regression.sets import Data
from sbp_jax.errors import InputError

MAX_ROUNDS, PATIENCE, RATE = 400, 20, 0.05  # of boosting
THRESHOLD = 0.9  # probability of the intermediate quantile, beyond which the tail is a GPD
MAX_SHAPE = 0.9  # of the GPD
Config = dict[str, str]
Rounds = Any  # of boosting, as the model counts them
Predict = Callable[[np.ndarray], Predictive]
Fit = Callable[[Data, Config, Data | None, Rounds], tuple[Predict, Rounds]]


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        fit: (training data, configuration, validation data or None, rounds or None) -> prediction and rounds.
        about: description, for the page.
        fields: names of the fields of a configuration.
        grids: configurations: one grid for any outcome, or one each for outcomes with zeros, positive outcomes, and
            outcomes of both signs.
        packages: modules that it imports.
        install: the command that installs them.
    """

    fit: Fit
    about: str = ""
    fields: str = ""
    grids: tuple[str, ...] = ("",)
    packages: tuple[str, ...] = ()
    install: str = "pip install 'sbp_jax[regression]'"

    def grid(self, y: np.ndarray) -> list[Config]:
        """Return the configurations for training outcomes."""
        grid = self.grids[0 if y.min() == 0 or len(self.grids) == 1 else 1 if y.min() > 0 else 2]
        return [dict(zip(self.fields.split(), each.split(), strict=True)) for each in grid.split(",")]

    def check(self) -> None:
        """Raise an InputError unless its packages are installed."""
        for package in self.packages:
            if find_spec(package) is None:
                raise InputError(f"{package} is not installed: {self.install}; or choose other models with --models")


def tune(model: Model, data: Data, seed: int) -> tuple[Config, Rounds, dict[str, str]]:
    """Return the configuration with the smallest validation CRPS, its rounds, and the reasons why others failed.

    Raises:
        ValueError: every configuration failed.
    """
    grid = model.grid(data.y)
    if len(grid) == 1:
        return grid[0], None, {}
    train, validation = (data.part(rows) for rows in data.divide(seed))
    scores, failed = {}, {}
    for index, config in enumerate(grid):
        try:
            predict, rounds = model.fit(train, config, validation, None)
            score = float(np.mean(predict(validation.x).crps(validation.y)))
            if not np.isfinite(score):
                raise ValueError(f"validation CRPS {score}")
            scores[index] = score, rounds
        except Exception as error:  # some packages have their own
            failed[" ".join(config.values())] = str(error).split("\n")[0][:120]
    if not scores:
        raise ValueError(f"every configuration failed: {failed}")
    best = min(scores, key=lambda index: scores[index][0])
    return grid[best], scores[best][1], failed


class Scale:
    """The scale on which a parametric model is fitted: standardized outcomes, or their logarithms."""

    def __init__(self, y: np.ndarray, scale: str):
        self.log = scale == "log"
        self.shift = 0.0 if not self.log or y.min() > 0 else float(y[y > 0].min())
        self.mean, self.sd = 0.0, 1.0
        values = self(y)
        self.mean, self.sd = float(values.mean()), float(values.std())

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """Return outcomes on the scale."""
        return ((np.log(y + self.shift) if self.log else y) - self.mean) / self.sd

    def predictive(self, loc: np.ndarray, scale: np.ndarray, df: np.ndarray | None = None) -> Predictive:
        """Return the distributions of outcomes: Normal, or Student-t with `df`, of parameters [N] on the scale."""
        place = {"loc": (self.mean + self.sd * loc)[:, None], "scale": (self.sd * scale)[:, None]}
        base = Frozen(norm(**place) if df is None else student(df[:, None], **place))
        return LogScale(base, self.shift) if self.log else base


def _marginal(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    quantiles = np.quantile(train.y, LEVELS)
    return lambda x: Quantiles(LEVELS, np.broadcast_to(quantiles, (len(x), len(LEVELS)))), None


def _ours(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    regressor = import_module("sbp_jax").SBPRegressor(random_state=0).fit(train.x, train.y, groups=train.group)
    return lambda x: Ours(regressor.predict_distribution(x)), None


def _ngboost(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    families, normal = import_module("ngboost.distns"), config["family"] == "Normal"
    depth, scale = int(config["depth"]), Scale(train.y, config["scale"])
    family = families.Normal if normal else families.TFixedDf  # 3 degrees of freedom; the fit of others is unstable
    tree = import_module("sklearn.tree").DecisionTreeRegressor(criterion="friedman_mse", max_depth=depth)
    settings = {"n_estimators": rounds or MAX_ROUNDS, "learning_rate": RATE, "verbose": False, "random_state": 0}
    model = import_module("ngboost").NGBRegressor(family, Base=tree, **settings)
    early: dict[str, Any] = {}
    if validation is not None:
        early = {"X_val": validation.x, "Y_val": scale(validation.y), "early_stopping_rounds": PATIENCE}
    model.fit(train.x, scale(train.y), **early)
    best = rounds or (model.best_val_loss_itr or 0) + 1

    def predict(x: np.ndarray) -> Predictive:
        dist = model.pred_dist(x, max_iter=best)
        return scale.predictive(dist.loc, dist.scale, None if normal else dist.df)

    return predict, best


def _xgboostlss(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    xgb, name = import_module("xgboost"), config["family"]
    import_module("torch").set_num_threads(1)
    family = getattr(import_module(f"xgboostlss.distributions.{name}"), name)
    scale, unit = Scale(train.y, config["scale"]), float(train.y.std())

    def matrix(part: Data) -> Any:
        return xgb.DMatrix(part.x, part.y / unit if name == "ZALN" else scale(part.y), nthread=1)

    model = import_module("xgboostlss.model").XGBoostLSS(family(stabilization="None", response_fn="exp", loss_fn="nll"))
    data, early = matrix(train), {}
    if validation is not None:
        early = {"evals": [(data, "train"), (matrix(validation), "validation")], "early_stopping_rounds": PATIENCE}
    settings = {"eta": RATE, "max_depth": int(config["depth"]), "nthread": 1, "seed": 0}
    model.train(settings, data, rounds or MAX_ROUNDS, verbose_eval=False, **early)
    best = rounds or model.booster.best_iteration + 1
    model.booster = model.booster[:best]

    def predict(x: np.ndarray) -> Predictive:
        values = model.predict(xgb.DMatrix(x, nthread=1), pred_type="parameters").to_numpy(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("a predicted parameter is not finite")
        if name == "ZALN":  # location, scale, probability of zero
            return ZeroAdjusted(values[:, 2], Frozen(lognorm(values[:, 1:2], scale=unit * np.exp(values[:, :1]))))
        return scale.predictive(*values.T[-2:], *values.T[:-2])  # Student-t has its degrees of freedom first

    return predict, best


def _forest(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    leaf, share = int(config["leaf"]), float(config["features"])
    kind = import_module("quantile_forest").RandomForestQuantileRegressor
    forest = kind(n_estimators=100, min_samples_leaf=leaf, max_features=share, random_state=0, n_jobs=1)
    forest.fit(train.x, train.y)
    return lambda x: Quantiles(LEVELS, np.asarray(forest.predict(x, quantiles=LEVELS.tolist()), float)), None


def _boosted_quantiles(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    """Boosted quantiles to an intermediate level; beyond it a GPD whose parameters are boosted as well.

    After Velthoen et al. (2023, gbex) and Pasche and Engelke (2024, EQRN): the excesses are over out-of-fold
    predictions of the intermediate quantile, and the loss is in the orthogonal parameters (log nu, xi), nu = sigma (1 +
    xi). For outcomes of both signs, the lower tail is modeled in the same way; otherwise the 0-quantile is the smallest
    training outcome.
    """
    lgb, two_sided = import_module("lightgbm"), bool(train.y.min() < 0)
    levels = np.linspace(1 - THRESHOLD, THRESHOLD, 17)
    levels = levels if two_sided else np.concatenate([[0.02, 0.05], levels])
    settings = {"objective": "quantile", "num_leaves": int(config["leaves"]), **_LIGHTGBM}

    def boosted(level: float, part: Data, count: int | None) -> Any:
        own, data = {**settings, "alpha": level}, lgb.Dataset(part.x, part.y)
        if count is not None or validation is None:
            return lgb.train(own, data, count or MAX_ROUNDS)
        stop, held_out = lgb.early_stopping(PATIENCE, verbose=False), lgb.Dataset(validation.x, validation.y, data)
        return lgb.train(own, data, MAX_ROUNDS, valid_sets=[held_out], callbacks=[stop])

    counts = rounds or [None] * len(levels)
    models = [boosted(level, train, count) for level, count in zip(levels, counts, strict=True)]
    counts = [count or model.best_iteration for count, model in zip(counts, models, strict=True)]
    fold = np.random.default_rng(0).permutation(len(train.y)) % 5

    def tail(sign: int, place: int) -> Callable[[np.ndarray], Tail]:
        excess = np.empty(len(fold))
        for k in range(5):
            threshold = boosted(levels[place], train.part(fold != k), counts[place]).predict(train.x[fold == k])
            excess[fold == k] = sign * (train.y[fold == k] - threshold)
        return _gpd(lgb, train.x[excess > 0], excess[excess > 0], int(config["tail"]))

    upper, lower = tail(1, -1), tail(-1, 0) if two_sided else None

    def predict(x: np.ndarray) -> Predictive:
        values = np.sort(np.stack([model.predict(x) for model in models], 1), axis=1)
        if lower is not None:
            return Quantiles(levels, values, lower(x), upper(x))
        values = np.maximum(np.insert(values, 0, train.y.min(), axis=1), train.y.min())
        return Quantiles(np.r_[0.0, levels], values, upper=upper(x))

    return predict, counts


_LIGHTGBM = {"learning_rate": RATE, "min_data_in_leaf": 20, "num_threads": 1, "verbosity": -1, "deterministic": True}
_LIGHTGBM |= {"feature_pre_filter": False}  # it fails where no feature can split a small sample


def _gpd(lgb: Any, x: np.ndarray, excess: np.ndarray, rounds: int) -> Callable[[np.ndarray], Tail]:
    """Fit a GPD to excesses; its parameters are boosted for a number of rounds, starting from the best constants."""
    shape, _, sigma = genpareto.fit(excess, floc=0)
    shape = float(np.clip(shape, 0.02, MAX_SHAPE - 0.02))
    start = np.array([np.log(sigma * (1 + shape)), logit(shape / MAX_SHAPE)])

    def gradient(scores: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        log_nu, score = (scores + start).T
        xi, ratio = MAX_SHAPE * expit(score), excess * np.exp(-log_nu)
        inside, slope = 1 + xi * (1 + xi) * ratio, xi * (1 - xi / MAX_SHAPE)
        by_scale = 1 - (1 + xi) ** 2 * ratio / inside
        by_shape = -1 / (1 + xi) - np.log(inside) / xi**2 + (1 + 1 / xi) * (1 + 2 * xi) * ratio / inside
        fisher = [1 / (1 + 2 * xi), slope**2 / (1 + xi) ** 2]  # diagonal in these parameters
        return np.stack([by_scale, slope * by_shape], 1), np.stack(fisher, 1)

    model = None
    if rounds:
        settings = {"objective": gradient, "num_class": 2, "num_leaves": 4, "min_sum_hessian_in_leaf": 0, **_LIGHTGBM}
        model = lgb.train(settings, lgb.Dataset(x, np.zeros(len(x))), rounds)

    def tail(rows: np.ndarray) -> Tail:
        scores = start + (np.zeros((len(rows), 2)) if model is None else model.predict(rows, raw_score=True))
        xi = MAX_SHAPE * expit(scores[:, 1])
        return np.exp(scores[:, 0]) / (1 + xi), xi

    return tail


def _network(train: Data, config: Config, validation: Data | None, rounds: Rounds) -> tuple[Predict, Rounds]:
    """Our estimator with the head "normal", on either scale, without integers, atoms and bounds."""
    scale, hidden = Scale(train.y, config["scale"]), (int(config["width"]),) * 2
    plain = {"head": "normal", "integer": False, "atoms": (), "bounds": (None, None), "random_state": 0}
    model = import_module("sbp_jax").SBPRegressor(**plain, hidden=hidden, learning_rate=float(config["rate"]))
    model.fit(train.x, scale(train.y), groups=train.group)

    def predict(x: np.ndarray) -> Predictive:
        dist = model.predict_distribution(x)
        return scale.predictive(np.asarray(dist.mean(), np.float64), np.asarray(dist.std(), np.float64))

    return predict, None


_NORMAL = "Normal log 3, Normal log 5, Normal identity 3, T identity 3"
_SIGNED = "Normal identity 3, Normal identity 5, T identity 3, T identity 5"
_ZERO = "Normal log 3, T identity 3, ZALN identity 3, ZALN identity 5"
_LSS = [grid.replace("Normal", "Gaussian").replace("T ", "StudentT ") for grid in (_ZERO, _NORMAL, _SIGNED)]
_WIDTHS = "64 log 1e-3, 128 log 2e-3, 64 identity 1e-3, 128 identity 2e-3"
_RATES = "64 identity 1e-3, 128 identity 1e-3, 64 identity 2e-3, 128 identity 2e-3"
OURS, MARGINAL = "SBPRegressor", "Marginal"
MODELS: dict[str, Model] = {
    OURS: Model(_ours, "ours, with its defaults"),
    "NGBoost": Model(
        _ngboost, "natural gradient boosting", "family scale depth", (_NORMAL, _NORMAL, _SIGNED), ("ngboost",)
    ),
    "XGBoostLSS": Model(
        _xgboostlss,
        "boosted parameters; ZALN is the zero-adjusted log-normal",
        "family scale depth",
        tuple(_LSS),
        ("xgboostlss", "pyro", "skbase", "torch", "pandas", "xgboost"),
        # the limits that it declares exclude the versions that this project pins, with which it runs
        "pip install torch pandas xgboost-cpu; pip install --no-deps xgboostlss pyro-ppl pyro-api scikit-base",
    ),
    "LightGBM-GPD": Model(
        _boosted_quantiles, "boosted quantiles and tails", "leaves tail", ("7 0, 7 60, 31 0, 31 60",), ("lightgbm",)
    ),
    "Quantile-forest": Model(
        _forest, "100 trees", "leaf features", ("5 0.33, 20 0.33, 5 1.0, 20 1.0",), ("quantile_forest",)
    ),
    "Gaussian-network": Model(_network, "ours with the head normal", "width scale rate", (_WIDTHS, _WIDTHS, _RATES)),
    MARGINAL: Model(_marginal, "the training outcomes, without features"),
}
