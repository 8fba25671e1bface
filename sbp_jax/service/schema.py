"""Message schemas of the service's OpenAPI page."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_NUMBER = {"type": "number"}
_MAYBE = {"anyOf": [_NUMBER, {"type": "null"}]}
_ROW = {"anyOf": [{"type": "array", "items": _NUMBER}, {"type": "null"}]}
_FRAMES = {"type": "array", "minItems": 1, "items": {"type": "array", "items": _ROW}}

PROTOCOL = """\
Score plays: complete ones with `POST /v1/plays`, frame by frame over the WebSocket `/v1/live`.

A frame is a list of players in slot order. Each player is a list of numbers in the order of `features` in
`GET /v1/spec`, or `null` for an absent player. Consecutive frames are `frame_s` seconds apart. Static features are
given by name; a feature that is `null` or missing is unknown.

**WebSocket `/v1/live`.** One connection carries any number of plays, each under a name that the client chooses. Every
message gets one answer; the messages of a play are processed in order.

| message | answer |
| --- | --- |
| `{"type": "reset", "play": "a", "static": {"down": 3}}` starts a play, or restarts it | `begun` |
| `{"type": "frame", "play": "a", "frame": [...], "seq": 7}`; `seq` is optional and is returned | `summary` |
| `{"type": "distribution", "play": "a"}` | `distribution`: `edges`, `probability` |
| `{"type": "finish", "play": "a", "outcome": 12, "touchdown": false}`; `touchdown` is optional | `score` |
| `{"type": "drop", "play": "a"}` | `dropped` |

A rejected message changes nothing and is answered with an HTTP status code:
`{"type": "error", "code": 422, "play": "a", "field": "frame[3][2]", "message": "..."}`. An idle play is dropped with an
error of code 408. Send the token as `Authorization: Bearer TOKEN`, or as `?token=TOKEN` in the WebSocket's address.
"""


class PlayRequest(BaseModel):
    """A complete play."""

    model_config = ConfigDict(extra="forbid", strict=True)

    frames: Annotated[Any, WithJsonSchema(_FRAMES)] = Field(description="[T][22][F]; null for an absent player")
    static: Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": _MAYBE})] = Field(
        default=None, description="static features known before the snap, by name"
    )
    outcome: Annotated[Any, WithJsonSchema(_MAYBE)] = Field(default=None, description="the outcome to score")
    touchdown: bool | None = Field(default=None, description="whether the goal line stopped the gain")
    distribution: bool = Field(default=False, description="include the predictive distribution")
    every_frame: bool = Field(default=False, description="include the summary after each frame")


class Summary(BaseModel):
    """Summary of a play after a number of frames; probabilities are null where the distance is unknown."""

    frames: int
    seconds: float
    median: float | None
    quantiles: dict[str, float | None]
    expected: float | None
    first_down: float | None
    touchdown: float | None
    loss: float | None


class Score(BaseModel):
    """The score of an outcome; passing_score is null where the run has no league."""

    outcome: float
    median: float | None
    pit_low: float | None
    pit: float | None
    pit_high: float | None
    score: float | None
    passing_score: float | None


class Distribution(BaseModel):
    """Predictive distribution in cells, with one more edge than probabilities."""

    edges: list[float]
    probability: list[float | None]


class PlayAnswer(BaseModel):
    """Summary of a complete play after its last frame, with the requested additions."""

    summary: Summary
    score: Score | None
    distribution: Distribution | None
    every_frame: list[Summary] | None


class Spec(BaseModel):
    """Required content of messages."""

    players: int
    features: list[str]
    static: list[str]
    frame_s: float
    outcome: str
    integer: bool = Field(description="outcomes are integers")
    in_yards: bool = Field(description="outcomes are gains: first down, touchdown and loss have probabilities")
    levels: list[float] = Field(description="levels of the quantiles")
    per_frame: bool = Field(description="trained at every frame; otherwise only the last frame is calibrated")
    passing_score: bool = Field(description="the run has a league")


class Health(BaseModel):
    """Whether plays are scored."""

    status: str
    open_plays: int
    plays: int


class Problem(BaseModel):
    """Reason for a rejection."""

    code: int
    field: str
    message: str
