"""What a client may ask, field by field, with bounds: the requests of OpenAI's API and what Glaswerk adds to them.

Types are taken strictly, and a field that is not here is refused rather than silently ignored; only the ones that a
client sends for its own books (``user``, ``metadata``, ...) are taken without effect. Left out: what is answered
(``replies.py``); fields whose work the engine does not do (``echo``, ``suffix``, ``best_of``, images, audio).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: replies to one prompt, prompts in one request, replies in one request
MOST_N, MOST_PROMPTS, MOST_REPLIES = 16, 64, 64
#: no context is longer, so no request needs more
MOST_TOKENS = 1 << 20

Text = Annotated[str, Field(max_length=4_000_000)]
Ids = Annotated[list[Annotated[int, Field(ge=0, lt=1 << 31)]], Field(min_length=1, max_length=MOST_TOKENS)]
StopText = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Asked(BaseModel):
    """The base: strict types, finite numbers, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Inside(Asked):
    """What only Glaswerk answers."""

    trace: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=16)] = []
    """Names (or globs) of values to return for this very reply; also "lens", what each layer would say, and
    "candidates", the likeliest tokens at each place."""
    regex: Annotated[str, Field(max_length=2000)] | None = None
    """A pattern that the whole reply fits."""
    choices: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(min_length=1, max_length=256)] | None = None
    """Texts of which the reply is one."""


class StreamOptions(Asked):
    """How a stream ends."""

    include_usage: bool = False
    """A last chunk tells the tokens."""
    include_obfuscation: bool = False
    """Taken, without effect."""


class Sampling(Asked):
    """What chat and plain completions share."""

    model: Annotated[str, Field(max_length=200)]
    """The name that GET /v1/models tells."""
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """Where a reply ends at the latest: 1,024 tokens in a conversation, 16 in a completion, unless told."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0 always takes the likeliest token; 1 unless told."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw from the likeliest that reach this probability together."""
    n: Annotated[int, Field(ge=1, le=MOST_N)] | None = None
    """Replies to one prompt; with a seed, those of this seed and the next ones."""
    stream: bool | None = None
    """Send the reply as server-sent events while it is written."""
    stream_options: StreamOptions | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = None
    """End before one of these texts."""
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    """The same seed draws the same reply; bit for bit where the server is set to be invariant."""
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Taken once from the logit of a token that the reply has."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Taken as often as the reply has the token."""
    logit_bias: (
        Annotated[
            dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
            Field(max_length=1024),
        ]
        | None
    ) = None
    """Added to the logits of these token ids."""
    # not OpenAI's, but usual
    top_k: Annotated[int, Field(ge=0, le=1 << 20)] | None = None
    """Draw from so many of the likeliest only; 0: off."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Drop tokens less likely than this share of the likeliest."""
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = None
    """Above 1: what the text has becomes less likely."""
    glaswerk: Inside | None = None
    # for the client's own books: taken, without effect
    user: Annotated[str, Field(max_length=512)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=64)] | None = None
    store: bool | None = None
    service_tier: Annotated[str, Field(max_length=64)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None


class Completion(Sampling):
    """``POST /v1/completions``: a text as it stands, without any chat format."""

    prompt: (
        Text
        | Ids
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_PROMPTS)]
        | Annotated[list[Ids], Field(min_length=1, max_length=MOST_PROMPTS)]
    ) = ""
    """One text or several, or their token ids."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Tell log-probabilities, and so many of the likeliest tokens at each place."""


class Part(Asked):
    """A piece of a message; only text, so nothing is ever fetched."""

    type: Literal["text"]
    text: Text


class FunctionCall(Asked):
    """Which function, with which arguments (JSON in a text)."""

    name: Name
    arguments: Text


class ToolCall(Asked):
    """A call that the assistant made."""

    id: Annotated[str, Field(max_length=200)]
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Asked):
    """One turn of the conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Text | Annotated[list[Part], Field(max_length=256)] | None = None
    name: Name | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=64)] | None = None
    tool_call_id: Annotated[str, Field(max_length=200)] | None = None
    refusal: Text | None = None


class Function(Asked):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    name: Name
    description: Annotated[str, Field(max_length=10_000)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Asked):
    """OpenAI's envelope of a function."""

    type: Literal["function"]
    function: Function


class NamedFunction(Asked):
    """Only its name."""

    name: Name


class NamedTool(Asked):
    """This function and no other."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Asked):
    """A schema that the reply fits."""

    name: Name
    description: Annotated[str, Field(max_length=10_000)] | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")] = {}
    strict: bool | None = None


class ResponseFormat(Asked):
    """What the whole reply is: any text, a JSON object, or JSON after a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Chat(Sampling):
    """``POST /v1/chat/completions``: the assistant's next turn."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=2048)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """The newer name of max_tokens."""
    logprobs: bool | None = None
    """Tell the log-probability of each token."""
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """And so many of the likeliest tokens at each place."""
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    """False: one call at most, where a call is required."""


class Embedding(Asked):
    """``POST /v1/embeddings``: one vector for each text."""

    model: Annotated[str, Field(max_length=200)]
    input: (
        Text
        | Ids
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_PROMPTS)]
        | Annotated[list[Ids], Field(min_length=1, max_length=MOST_PROMPTS)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    user: Annotated[str, Field(max_length=512)] | None = None
