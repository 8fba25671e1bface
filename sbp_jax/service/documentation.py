"""The page /docs: the OpenAPI description as HTML without scripts, so that it opens without a network."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
pre{background:#f6f8fa;padding:.8rem;overflow:auto;font-size:13px}code{background:#f6f8fa;padding:0 .2rem}
table{border-collapse:collapse;display:block;overflow:auto}td,th{border:1px solid #d0d7de;padding:.3rem .6rem;
text-align:left;vertical-align:top}h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}"""
# no script runs and nothing is loaded, whatever the page contains
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def page(api: Mapping[str, Any]) -> Response:
    """Return the page of an OpenAPI description: its text, each endpoint, and each schema."""
    info = api["info"]
    parts = [f"<h1>{_text(info['title'])}</h1>", _markdown(info.get("description", ""))]
    parts.append('<p>The same in machine-readable form: <a href="/openapi.json">/openapi.json</a>.</p>')
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            parts += _endpoint(f"{method.upper()} {path}", operation)
    parts.append("<h2>Schemas</h2>")
    for name, schema in api.get("components", {}).get("schemas", {}).items():
        parts.append(f'<h3 id="{_text(name)}">{_text(name)}</h3>{_schema(schema)}')
    body = "\n".join(parts)
    return Response(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n",
        headers=_HEADERS,
        media_type="text/html",
    )


def _endpoint(name: str, operation: Mapping[str, Any]) -> list[str]:
    parts = [f"<h2><code>{_text(name)}</code></h2>", _markdown(operation.get("description", ""))]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body, {_text(kind)}</h3>{_schema(content['schema'])}")
    rows = []
    for code, response in operation.get("responses", {}).items():
        schemas = [content.get("schema", {}) for content in response.get("content", {}).values()]
        names = [str(schema.get("$ref", "")).rpartition("/")[2] for schema in schemas]
        links = ", ".join(f'<a href="#{_text(each)}">{_text(each)}</a>' for each in names if each)
        rows.append(f"<tr><td>{_text(code)}</td><td>{_text(response.get('description', ''))}</td><td>{links}</td></tr>")
    return [*parts, f"<table><tr><th>code</th><th>response</th><th>schema</th></tr>{''.join(rows)}</table>"]


def _schema(schema: Mapping[str, Any]) -> str:
    return f"<pre>{_text(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>"


def _markdown(text: str) -> str:
    """Markdown as HTML: paragraphs, tables, code and bold text."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if all(line.startswith("|") for line in lines) and len(lines) > 2:
            rows = [[_inline(cell.strip()) for cell in line.strip("| ").split(" | ")] for line in lines]
            head = "".join(f"<th>{cell}</th>" for cell in rows[0])
            body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[2:])
            parts.append(f"<table><tr>{head}</tr>{body}</table>")
        else:
            parts.append(f"<p>{_inline(block)}</p>")
    return "\n".join(parts)


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)


def _text(value: object) -> str:
    return html.escape(str(value))
