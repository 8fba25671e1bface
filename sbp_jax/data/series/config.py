"""Which time series a run is of, and how they are cut into windows; needs NumPy alone."""

from dataclasses import dataclass

from sbp_jax.data.prepared.splits import check_shares


@dataclass(frozen=True)
class SeriesConfig:
    """Time series in files, and how they are cut into windows.

    Attributes:
        path: CSV, TSV or parquet files, each a series: a column of times and one of values, in order of time.
        time: the column of times; none: the only one of dates, or of a usual name.
        value: the column of values; none: the only numeric one beside it.
        context: steps that the network sees; gaps among them are masked.
        lead: steps from the last of them to the outcome.
        validation: share of each series, before the test, kept for early stopping.
        test: share of each series, at its end, kept for the test.

    Raises:
        InputError: shares that leave nothing to train on.
    """

    path: tuple[str, ...] = ()
    time: str = ""
    value: str = ""
    context: int = 100
    lead: int = 1
    validation: float = 0.2
    test: float = 0.2

    def __post_init__(self) -> None:
        check_shares(self.test, self.validation)
