"""The reference of every recipe key as Markdown, made from the JSON Schemas: `motionllm recipes --reference`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from motionllm.config.base import Section

HEAD = """# Recipe reference

Every key of every kind of recipe. `motionllm recipes --reference` writes this page from the docstrings in
`motionllm/config/`: edit those. [recipes/README.md](../recipes/README.md) lists the recipes that ship.
"""
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def reference(schemas: Mapping[str, type[Section]]) -> str:
    """The page: a part per kind of recipe, in it a part per section. A section that several kinds share is described
    where it first occurs, and linked to from the others. schemas: {kind: its schema}.
    """
    parts: list[str] = [HEAD]
    described: dict[str, str] = {}
    for kind, schema in schemas.items():
        tree = schema.model_json_schema()
        described[tree["title"]] = f"[{kind}](#{kind})"
        parts.append(f"## {kind}\n\n{_one_line(tree['description'])}\n")
        parts += _section(tree, tree["$defs"], kind, "", described)
    return "\n".join(parts)


def _section(
    schema: dict[str, Any], defs: dict[str, Any], kind: str, prefix: str, described: dict[str, str]
) -> Iterator[str]:
    """The keys of a section, then its inner sections. described: {section: link to it}, of those so far."""
    inner, lines = [], []
    for key, field in schema["properties"].items():
        name, path = _inner(field), f"{prefix}{key}"
        text = _one_line(field.get("description", "") or (defs[name]["description"] if name else ""))
        if name and name not in described:
            described[name] = f"[`{path}`](#{f'{kind} {path}'.replace(' ', '-').replace('.', '').lower()})"
            inner.append((name, path))
        see = f" Keys: {described[name]}." if name else ""
        lines.append(f"- **`{key}`** ({_type(field, defs)}{_default(key, field, schema)}): {text}{see}")
    yield "\n".join(lines) + "\n"
    for name, path in inner:
        yield f"### {kind} `{path}`\n\n{_one_line(defs[name]['description'])}\n"
        yield from _section(defs[name], defs, kind, f"{path}.", described)


def _inner(field: dict[str, Any]) -> str | None:
    """The name of the section that a field holds, itself, in a list, or beside null."""
    for part in (field, field.get("items", {}), *field.get("anyOf", [])):
        if "$ref" in part:
            return str(part["$ref"].rpartition("/")[2])
    return None


def _default(key: str, field: dict[str, Any], schema: dict[str, Any]) -> str:
    if key in schema.get("required", []):
        return ", required"
    return "" if isinstance(field["default"], dict) and _inner(field) else f", default {_code(field['default'])}"


def _type(field: dict[str, Any], defs: dict[str, Any]) -> str:
    """The type of a field in words, with the range of numbers."""
    if "anyOf" in field:
        return " or ".join(_type(part, defs) for part in field["anyOf"])
    if "$ref" in field:
        return "section"
    if "enum" in field:
        return " | ".join(map(_code, field["enum"]))
    if "const" in field:
        return _code(field["const"])
    kind = field.get("type", "any")
    if kind == "array":
        items = field.get("prefixItems")
        return f"[{', '.join(_type(i, defs) for i in items)}]" if items else f"list of {_type(field['items'], defs)}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"{{text: {_type(field['additionalProperties'], defs)}}}"
    if kind in ("integer", "number"):
        return kind + ",".join(f" {sign} {field[bound]:,}" for bound, sign in BOUNDS.items() if bound in field)
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`" if not isinstance(value, str) else f"`{value}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())
