"""Choice and split of plays for a prepared data set; a command line reads it, so it has no heavy imports."""

from dataclasses import asdict, dataclass
from typing import Any

from sbp_jax.data.readers.rules import FORMER_MALFORMED, Rules
from sbp_jax.errors import InputError

_YOUNGER = ("extras", "tracking", "results", "situation", "test_seasons")  # fields that older data sets do not have


@dataclass(frozen=True)
class PrepareConfig(Rules):
    """Choice and split of plays.

    Attributes:
        seed: determines which games go to train, validation and test.
        fractions: fractions of the games for train, validation and test, summing to 1.
        test_seasons: seasons whose games are the test split, instead of a fraction of all games.

    Raises:
        InputError: fractions are negative or do not sum to 1, and as for `Rules`.
    """

    seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    test_seasons: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise InputError(f"fractions: expected three shares of at least 0 that sum to 1, got {self.fractions}")

    def recorded(self) -> dict[str, Any]:
        """Return the fields as recorded in a data set's report, such that older sets still match.

        Newer fields are there only if set, and `malformed` has its former value.
        """
        default = {name: PrepareConfig.__dataclass_fields__[name].default for name in _YOUNGER}
        former = {new: old for old, new in FORMER_MALFORMED.items()}
        values = asdict(self) | {"malformed": former[self.malformed]}
        return {name: value for name, value in values.items() if name not in default or value != default[name]}
