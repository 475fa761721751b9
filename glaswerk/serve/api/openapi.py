"""The API's description for programs (OpenAPI 3.1), made from the schemas that check requests, and the same as a table
for people. Nothing is loaded from elsewhere to show it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from glaswerk import __version__
from glaswerk.serve.api.schema import Asked, Chat, Completion, Embedding

#: method, path, what it does, the schema of its body, the keys of its answer
ROUTES: tuple[tuple[str, str, str, type[Asked] | None, tuple[str, ...]], ...] = (
    ("get", "/v1/models", "The base and its LoRA adapters, which a request chooses by name.", None, ("object", "data")),
    ("get", "/v1/models/{name}", "One model, by its name.", None, ("id", "object")),
    ("post", "/v1/chat/completions", "The assistant's next turn.", Chat, ("id", "object", "choices", "usage")),
    ("post", "/v1/completions", "A text, continued.", Completion, ("id", "object", "choices", "usage")),
    ("post", "/v1/embeddings", "A vector for each text: the mean of its last hidden states, of length 1.", Embedding,
     ("object", "data", "model", "usage")),
    ("get", "/health", "Whether it lives and takes requests; also /health/live and /health/ready.", None, ("live",)),
    ("get", "/metrics", "Figures for Prometheus.", None, ()),
)  # fmt: skip
ANSWERS = {
    "200": "the answer", "400": "not understood", "401": "no key", "404": "no such thing", "408": "the body is late",
    "413": "the body is too long", "415": "no JSON", "429": "the key's limit", "500": "our mistake",
    "503": "full, late or stopping",
}  # fmt: skip
OPEN_ANSWERS = {"200": "ready", "503": "not ready"}
#: what a route without a body does not answer
OF_BODIES = ("400", "408", "415", "429", "503")
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


@cache
def document() -> dict[str, Any]:
    """The whole description."""
    _, made = models_json_schema(
        [(kind, "validation") for kind in (Chat, Completion, Embedding)], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, body, keys in ROUTES:
        paths.setdefault(path, {})[method] = operation(method, path, summary, body, keys)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Glaswerk",
            "version": __version__,
            "description": "One language model, and LoRA adapters of it, over HTTP in the shapes of OpenAI's API.",
        },
        "paths": paths,
        "components": {
            "schemas": {**made["$defs"], "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def operation(method: str, path: str, summary: str, body: type[Asked] | None, keys: tuple[str, ...]) -> dict[str, Any]:
    """One route."""
    plain = {"type": "object", "required": list(keys)}
    kinds: dict[str, Any] = {"application/json": {"schema": plain}} if keys else {"text/plain": {}}
    if body in (Chat, Completion):
        event = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
        kinds["text/event-stream"] = {"schema": event}  # of each event; its data is the JSON of a chunk, or [DONE]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    answers = answers_of(path, body)
    content = {status: kinds if status == "200" or path == "/health" else error for status in answers}
    told: dict[str, Any] = {
        "summary": summary,
        "operationId": f"{method} {path}".replace("/", " ").replace("{", "").replace("}", "").title().replace(" ", ""),
        "responses": {status: {"description": text, "content": content[status]} for status, text in answers.items()},
    }
    if path == "/health":
        told["security"] = []
    if "{name}" in path:
        told["parameters"] = [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    if body is not None:
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return told


def answers_of(path: str, body: type[Asked] | None) -> dict[str, str]:
    """The statuses of a route, and what each means."""
    if path == "/health":
        return OPEN_ANSWERS
    return {status: text for status, text in ANSWERS.items() if body is not None or status not in OF_BODIES}


# ---------------------------------------------------------------------------------------------- for people
def tables() -> dict[str, Any]:
    """The description as the reference page shows it: ``info``, ``routes``, ``answers``, ``schemas``."""
    told = document()
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "summary": summary,
            "body": body.__name__ if body else None,
            "answers": list(answers_of(path, body)),
        }
        for method, path, summary, body, _ in ROUTES
    ]
    schemas = [
        {
            "name": name,
            "text": schema.get("description", "").replace("``", ""),
            "fields": [
                {
                    "name": field,
                    "what": what(of),
                    "text": of.get("description", ""),
                    "needed": field in schema.get("required", []),
                }
                for field, of in schema["properties"].items()
            ],
        }
        for name, schema in told["components"]["schemas"].items()
    ]
    return {"info": told["info"], "routes": routes, "answers": list(ANSWERS.items()), "schemas": schemas}


def what(schema: dict[str, Any]) -> str:
    """A schema in words."""
    if "anyOf" in schema:
        words = " or ".join(dict.fromkeys(what(one) for one in schema["anyOf"] if one.get("type") != "null"))
    elif "$ref" in schema:
        words = schema["$ref"].rpartition("/")[2]
    elif "enum" in schema:
        words = ", ".join(map(str, schema["enum"]))
    elif "const" in schema:
        words = str(schema["const"])
    elif schema.get("type") == "array":
        words = f"list of {what(schema.get('items', {}))}"
    else:
        kind = schema.get("type", "anything")
        words = ", ".join(kind) if isinstance(kind, list) else str(kind)
    bounds = [text.format(f"{schema[name]:,}") for name, text in BOUNDS.items() if name in schema]
    default = schema.get("default")
    if default not in (None, "", [], {}, False):
        bounds.append(f"default {default}")
    return f"{words} ({', '.join(bounds)})" if bounds else words


BOUNDS = {
    "minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}",
    "maxLength": "at most {} characters", "minItems": "at least {}", "maxItems": "at most {}",
    "maxProperties": "at most {} entries",
}  # fmt: skip
