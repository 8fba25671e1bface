"""What the service's OpenAPI page says of its messages."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_NUMBER = {"type": "number"}
_MAYBE = {"anyOf": [_NUMBER, {"type": "null"}]}
_ROW = {"anyOf": [{"type": "array", "items": _NUMBER}, {"type": "null"}]}
_FRAMES = {"type": "array", "minItems": 1, "items": {"type": "array", "items": _ROW}}

PROTOCOL = """\
Scores plays: whole ones by `POST /v1/plays`, frame by frame over the WebSocket `/v1/live`.

A frame is a list of players in the order of the plays' slots, each a list of numbers in the order of `features` of
`GET /v1/spec`, or `null` for a player who is not there. Frames follow each other in `frame_s` seconds. Static features
are given by name; one that is `null` or not given is unknown.

**WebSocket `/v1/live`.** One connection carries any number of plays, each under a name of the client's choice. Every
message is answered by one; a play's messages are dealt with in their order.

| message | answer |
| --- | --- |
| `{"type": "reset", "play": "a", "static": {"down": 3}}` begins a play, or begins it anew | `begun` |
| `{"type": "frame", "play": "a", "frame": [...], "seq": 7}`; `seq` is optional and comes back | `summary` |
| `{"type": "distribution", "play": "a"}` | `distribution`: `edges`, `probability` |
| `{"type": "finish", "play": "a", "yards": 12, "touchdown": false}`; `touchdown` is optional | `score` |
| `{"type": "drop", "play": "a"}` | `dropped` |

What is refused is answered by `{"type": "error", "code": 422, "play": "a", "field": "frame[3][2]", "message": "..."}`,
with a code as HTTP has it, and changes nothing. A play of which nothing is heard for a while is dropped, with an error
of code 408. A token is shown as `Authorization: Bearer TOKEN`, or as `?token=TOKEN` of the WebSocket's address.
"""


class PlayRequest(BaseModel):
    """A whole play."""

    model_config = ConfigDict(extra="forbid", strict=True)

    frames: Annotated[Any, WithJsonSchema(_FRAMES)] = Field(description="[T][22][F]; null for a player not there")
    static: Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": _MAYBE})] = Field(
        default=None, description="what is known before the snap, by name"
    )
    yards: Annotated[Any, WithJsonSchema(_MAYBE)] = Field(default=None, description="the outcome, to be scored")
    touchdown: bool | None = Field(default=None, description="whether the goal line stopped the gain")
    distribution: bool = Field(default=False, description="answer with the whole law too")
    every_frame: bool = Field(default=False, description="answer with what was said after each frame too")


class Summary(BaseModel):
    """What is said of a play after so many frames; probabilities are null where the distance is not known."""

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

    yards: float
    median: float | None
    pit_low: float | None
    pit: float | None
    pit_high: float | None
    score: float | None
    passing_score: float | None


class Distribution(BaseModel):
    """The law in cells, one edge more than probabilities."""

    edges: list[float]
    probability: list[float | None]


class PlayAnswer(BaseModel):
    """What is said of a whole play: after its last frame, and whatever else was asked for."""

    summary: Summary
    score: Score | None
    distribution: Distribution | None
    every_frame: list[Summary] | None


class Spec(BaseModel):
    """What messages must have."""

    players: int
    features: list[str]
    static: list[str]
    frame_s: float
    outcome: str
    whole: bool = Field(description="outcomes are whole numbers")
    in_yards: bool = Field(description="outcomes are gains: first down, touchdown and loss have probabilities")
    levels: list[float] = Field(description="of the quantiles")
    per_frame: bool = Field(description="trained at every frame; else what is said before the last is not calibrated")
    passing_score: bool = Field(description="the run has a league")


class Health(BaseModel):
    """Whether plays are scored."""

    status: str
    open_plays: int
    plays: int


class Problem(BaseModel):
    """Why something was refused."""

    code: int
    field: str
    message: str
