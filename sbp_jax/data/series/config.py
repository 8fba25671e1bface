"""Time series of a run and their windows; needs NumPy alone."""

from dataclasses import dataclass

from sbp_jax.data.prepared.splits import check_shares


@dataclass(frozen=True)
class SeriesConfig:
    """Time series in files, and how to cut them into windows.

    Attributes:
        path: CSV, TSV or parquet files with one series each: a column of times and one of values, in order of time.
        time: column of times; none: the only one of dates, or one with a usual name.
        value: column of values; none: the only other numeric column.
        context: number of steps that the network sees; gaps are masked.
        lead: number of steps from the last of them to the outcome.
        validation: fraction of each series, before the test, for early stopping.
        test: fraction of each series, at its end, for the test.

    Raises:
        InputError: the fractions leave nothing to train on.
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
