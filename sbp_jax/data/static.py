"""Names of the static features: what is known of a play before the snap."""

from collections.abc import Sequence

SITUATION_FEATURES = ("down", "distance", "yards_to_goal", "quarter", "clock_s", "score_difference", "week", "home")


def static_names(situation: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the static features, those of `situation`, columns of the list of plays, among them."""
    names = (*SITUATION_FEATURES, *situation)
    return (*names, *(f"{name}_missing" for name in names))


STATIC_FEATURES = static_names()
