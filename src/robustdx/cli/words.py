"""How flags are read: text on the command line as the words of a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from robustdx.errors import PlanError


def several(text: str | None) -> list[str] | None:
    """`1/255,2/255` as a list."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise PlanError(f"expected values such as 1/255,2/255 (eps, mean or std), got {text!r}")
    return parts


def whole(text: str) -> list[int]:
    """`100,1000` as whole numbers."""
    if not re.fullmatch(r"-?\d+(,-?\d+)*", text):
        raise PlanError(f"expected whole numbers such as 100,1000, got {text!r}")
    return [int(n) for n in text.split(",")]


def size(text: str | None) -> list[int] | None:
    """`224` or `150x200` (height x width)."""
    if text is None:
        return None
    if not re.fullmatch(r"\d+([x,]\d+)?", text):
        raise PlanError(f"expected a size such as 224 or 150x200 (height x width), got {text!r}")
    sides = [int(n) for n in re.split("[x,]", text)]
    return sides * 2 if len(sides) == 1 else sides


def pair(text: str | None) -> tuple[int, int] | None:
    """`224` or `150x200` as height and width, both at least 1."""
    sides = size(text)
    if sides is None:
        return None
    if min(sides) < 1:
        raise PlanError(f"expected a size such as 224 or 150x200 (height x width), got {text!r}")
    return sides[0], sides[1]


def method(text: str) -> dict[str, Any]:
    """`pgd,steps=20,early_stop=false` as a table of settings."""
    name, *settings = text.split(",")
    words: dict[str, Any] = {"name": name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise PlanError(f"expected {name},setting=value, got {text!r}")
        if key.strip() in words:
            raise PlanError(f"expected each setting once, got a second {key.strip()} in {text!r}")
        words[key.strip()] = _value(value.strip())
    return words


def network(text: str) -> dict[str, Any]:
    """`timm:resnet18,weights=FILE` as a table of a model."""
    words = method(text)
    source = words.pop("name")
    return {"source": source, **words, **({"size": size(str(words["size"]))} if "size" in words else {})}


def merged(plan: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with the keys that flags change; what is None is left as it is."""
    out = dict(plan)
    for key, value in changes.items():
        if isinstance(value, Mapping):
            old = plan.get(key, {})
            if not isinstance(old, Mapping):
                raise PlanError(f"{key}: expected a table of settings in the plan, got {old!r}")
            inner = merged(old, value)
            if inner:
                out[key] = inner
        elif value is not None:
            out[key] = value
    return out


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d+", text) else text
