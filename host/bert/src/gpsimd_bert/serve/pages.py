"""The pages of the server. Each is one file that asks for nothing elsewhere, which its security policy also says."""

import base64
import hashlib
import html
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from starlette.responses import Response


@dataclass(frozen=True)
class Page:
    """A page, and the policy under which a browser shows it: its own style and script, and this server."""

    body: bytes
    policy: str

    @classmethod
    def of(cls, text: str) -> "Page":
        """The page `text`."""
        rules = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
        rules["connect-src"] = "'self'"
        # The empty icon, for which a browser would ask otherwise.
        rules["img-src"] = "data:"
        for tag, rule in (("script", "script-src"), ("style", "style-src")):
            hashes = [_hash(content) for content in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)]
            rules[rule] = " ".join(hashes) or "'none'"
        return cls(text.encode(), "; ".join(f"{rule} {value}" for rule, value in rules.items()))

    @classmethod
    def of_package(cls, name: str) -> "Page":
        """The page in the file `name`."""
        return cls.of(_file(name))

    def response(self) -> Response:
        """The page with its headers."""
        headers = {
            "Content-Security-Policy": self.policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return Response(self.body, media_type="text/html; charset=utf-8", headers=headers)


def reference(openapi: dict[str, Any]) -> Page:
    """An OpenAPI document as a page to read: what each route takes and answers, with examples."""
    operations = [
        _operation(path, method, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    values = {
        "title": html.escape(openapi["info"]["title"]),
        "version": html.escape(openapi["info"]["version"]),
        "description": html.escape(openapi["info"]["description"]),
        "operations": "\n".join(operations),
    }
    return Page.of(Template(_file("docs.html")).substitute(values))


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        "<section>",
        f'<h2 id="{html.escape(operation["operationId"])}"><code>{method.upper()} {html.escape(path)}</code></h2>',
        f"<p>{html.escape(operation['description'])}</p>",
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body, <code>{html.escape(kind)}</code></h3>")
        parts += [_example(example) for example in content["examples"].values()]
    parts.append('<table><thead><tr><th scope="col">Status</th><th scope="col">Answer</th></tr></thead><tbody>')
    for status, response in operation["responses"].items():
        kinds = ", ".join(f"<code>{html.escape(kind)}</code>" for kind in response.get("content", {}))
        where = f" ({kinds})" if kinds else ""
        parts.append(f"<tr><td>{status}</td><td>{html.escape(response['description'])}{where}</td></tr>")
    parts.append("</tbody></table></section>")
    return "\n".join(parts)


def _example(example: dict[str, Any]) -> str:
    value = example["value"]
    text = value if isinstance(value, str) else json.dumps(value)
    return f'<p>{html.escape(example["summary"])}:</p><pre tabindex="0">{html.escape(text)}</pre>'


def _file(name: str) -> str:
    return files(__package__).joinpath("pages", name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
