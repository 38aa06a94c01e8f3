"""The interface of the server as an OpenAPI 3.1 document: `/openapi.json`, and the page `/docs`."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .media import CSV, JSON, JSON_LINES, TEXT

TEXTS = ["it broke after two days", "I love it"]
NEGATIVE, POSITIVE = {"label": "negative", "score": 0.98}, {"label": "positive", "score": 0.97}

SCHEMAS: dict[str, Any] = {
    "Texts": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "Request": {
        "oneOf": [
            {"$ref": "#/components/schemas/Texts"},
            {
                "type": "object",
                "properties": {"texts": {"$ref": "#/components/schemas/Texts"}},
                "required": ["texts"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"instances": {"$ref": "#/components/schemas/Texts"}},
                "required": ["instances"],
                "additionalProperties": False,
            },
            {"$ref": "#/components/schemas/HuggingFaceRequest"},
        ]
    },
    "HuggingFaceRequest": {
        "type": "object",
        "properties": {
            "inputs": {"oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/Texts"}]},
            "parameters": {
                "type": ["object", "null"],
                "properties": {
                    "top_k": {"type": ["integer", "null"], "minimum": 1},
                    "return_all_scores": {"type": "boolean"},
                    "function_to_apply": {"enum": ["softmax", "default", None]},
                    "truncation": {"const": True},
                },
                "additionalProperties": False,
            },
        },
        "required": ["inputs"],
        "additionalProperties": False,
    },
    "Prediction": {
        "type": "object",
        "properties": {
            "label": {"type": "string"},
            "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "The label's probability."},
        },
        "required": ["label", "score"],
        "additionalProperties": False,
    },
    "Labels": {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}},
    "Answer": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"predictions": {"$ref": "#/components/schemas/Labels"}},
                "required": ["predictions"],
                "additionalProperties": False,
            },
            {"$ref": "#/components/schemas/Labels"},
            {"type": "array", "items": {"$ref": "#/components/schemas/Labels"}},
        ]
    },
    "Health": {
        "type": "object",
        "properties": {
            "status": {"enum": ["ready", "not ready"]},
            "reason": {"type": "string"},
            "model": {"type": "object", "additionalProperties": {"type": "string"}},
            "waiting_texts": {"type": "integer", "minimum": 0},
        },
        "required": ["status", "model", "waiting_texts"],
    },
    "Error": {
        "type": "object",
        "properties": {"error": {"type": "string", "description": "What was expected, and what was found."}},
        "required": ["error"],
        "additionalProperties": False,
    },
}


def document(max_bytes: int, max_texts: int) -> dict[str, Any]:
    """The document of a server with these limits."""
    try:
        release = version("gpsimd-bert")
    except PackageNotFoundError:
        release = "unknown"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gpsimd_bert.serve",
            "version": release,
            "description": "A classifier of product reviews. Everything is UTF-8, and a refusal is JSON with what was "
            "expected and what was found.",
        },
        "paths": {
            "/invocations": {"post": _invocations(max_bytes, max_texts)},
            "/ping": _get(
                "ping",
                "Whether the model is loaded, for SageMaker.",
                {"200": _answer("It is.", JSON, {"type": "object"}), "503": _error("Not yet.")},
            ),
            "/health": _get(
                "health",
                "Whether requests are answered now, which model there is, and how many texts wait.",
                {
                    "200": _answer("They are.", JSON, _reference("Health")),
                    "503": _answer("They are not, and why.", JSON, _reference("Health")),
                },
            ),
            "/metrics": _get(
                "metrics",
                "What the server has done, for Prometheus.",
                {
                    "200": {
                        "description": "Its text format 0.0.4, or OpenMetrics where Accept names that.",
                        "content": {
                            kind: {"schema": {"type": "string"}} for kind in (TEXT, "application/openmetrics-text")
                        },
                    }
                },
            ),
            "/openapi.json": _get(
                "openapi", "The interface, for programs.", {"200": _answer("OpenAPI 3.1.", JSON, {"type": "object"})}
            ),
            "/docs": _get("docs", "The interface, for people.", {"200": _page("This page.")}),
            "/": _get("home", "To try a review in a browser.", {"200": _page("A page.")}),
        },
        "components": {"schemas": SCHEMAS},
    }


def _invocations(max_bytes: int, max_texts: int) -> dict[str, Any]:
    csv = f"{NEGATIVE['label']},{NEGATIVE['score']}\n{POSITIVE['label']},{POSITIVE['score']}"
    lines = '{"label": "negative", "score": 0.98}\n{"label": "positive", "score": 0.97}'
    return {
        "operationId": "invocations",
        "summary": "Classify texts",
        "description": f"Labels up to {max_texts:,} texts in at most {max_bytes:,} bytes. Answers are in the order of "
        "the texts, in the format that Accept prefers: JSON, JSON lines, or CSV (a label and its score in a line).",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": _reference("Request"),
                    "examples": {
                        "texts": {"summary": "Texts", "value": {"texts": TEXTS}},
                        "inputs": {
                            "summary": "As Hugging Face's inference toolkit takes it; the answer is its, too",
                            "value": {"inputs": TEXTS[0], "parameters": {"top_k": 2}},
                        },
                    },
                },
                JSON_LINES: {
                    "schema": {"type": "string"},
                    "examples": {
                        "lines": {"summary": "A text in each line", "value": '"it broke"\n{"text": "I love it"}'}
                    },
                },
                CSV: {
                    "schema": {"type": "string"},
                    "examples": {
                        "column": {"summary": "The texts, without a header", "value": 'it broke\n"good, but loud"'},
                        "polarity": {
                            "summary": "As in Amazon Reviews Polarity; the class may be empty",
                            "value": '"1","Broken","it broke"\n"","Fine","I love it"',
                        },
                    },
                },
                TEXT: {
                    "schema": {"type": "string"},
                    "examples": {"text": {"summary": "One text", "value": "it broke\nafter two days"}},
                },
            },
        },
        "responses": {
            "200": {
                "description": "The best label of each text, or what the parameters ask for.",
                "content": {
                    JSON: {
                        "schema": _reference("Answer"),
                        "examples": {
                            "texts": {"summary": "Of texts", "value": {"predictions": [NEGATIVE, POSITIVE]}},
                            "inputs": {
                                "summary": "Of inputs",
                                "value": [NEGATIVE, {"label": "positive", "score": 0.02}],
                            },
                        },
                    },
                    JSON_LINES: {"schema": {"type": "string"}, "example": lines},
                    CSV: {"schema": {"type": "string"}, "example": csv},
                },
            },
            "400": _error("The body is empty, not UTF-8, or not what its Content-Type says."),
            "406": _error("Accept takes none of the formats that are written."),
            "408": _error("The body did not arrive in time."),
            "413": _error("More bytes or texts than one request may have."),
            "415": _error("A Content-Type that is not read, or a Content-Encoding."),
            "422": _error("The body has another structure, no texts, or a text that is none."),
            "500": _error("The model failed on the texts."),
            "503": _error("The model is being loaded, too many texts wait, or the server stops; see Retry-After."),
        },
    }


def _get(name: str, description: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"operationId": name, "description": description, "responses": responses}}


def _page(description: str) -> dict[str, Any]:
    return _answer(description, "text/html", {"type": "string"})


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _error(description: str) -> dict[str, Any]:
    return _answer(description, JSON, _reference("Error"))
