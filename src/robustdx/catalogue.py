"""Names and settings: how a plan's words become a method, and a method becomes words again.

A method is a frozen dataclass that holds settings only. Its fields are its plan keys, and the string under a field is
that field's documentation: the same words feed `robustdx describe`, the reference and the report.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from robustdx.errors import PlanError

T = TypeVar("T")


@dataclass(frozen=True)
class Catalogue:
    """The methods of one room, by the name that plans and the command line use."""

    kind: str
    """What one of them is called in messages: "attack", "objective", ..."""
    own: Mapping[str, type]
    """Name to dataclass, the ones that ship with robustdx."""
    role: type | None = None
    """The protocol that they share: a field of this type holds one of them, so that methods are made of methods."""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Well-known settings of one of them by a name of their own: {"mi": {"name": "bim", "momentum": 1.0}}."""

    @property
    def plural(self) -> str:
        """What several of them are called: "attacks", "analyses"."""
        return f"{self.kind.removesuffix('is')}es" if self.kind.endswith("is") else f"{self.kind}s"

    @cached_property
    def methods(self) -> dict[str, type]:
        """Our methods and those that installed packages offer under the entry point group `robustdx.<kinds>`."""
        outside = {e.name: e.load() for e in entry_points(group=f"robustdx.{self.plural}")}
        return {**outside, **self.own}

    def parse(self, spec: str | Mapping[str, Any]) -> Any:
        """Make the method that `"pgd"` or `{"name": "pgd", "steps": 40}` asks for.

        Raises:
            PlanError: no such name (the nearest is named), no such setting, or a value of the wrong type.
        """
        settings = self._spelt({"name": spec} if isinstance(spec, str) else dict(spec))
        name = settings.pop("name", None)
        if not isinstance(name, str):
            raise PlanError(f'expected the name of {a(self.kind)}, got {spec!r}: write {{ name = "..." }}')
        return build(self.find(name), settings, where=f"{self.kind} {name}", within=self)

    def _spelt(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A preset's name replaced by what it stands for; settings beside the name win."""
        name = settings.get("name")
        if not isinstance(name, str) or name not in self.presets:
            return settings
        return {**self.presets[name], **{k: v for k, v in settings.items() if k != "name"}}

    def find(self, name: str) -> type:
        """The dataclass behind a name."""
        name = str(self.presets.get(name, {}).get("name", name))
        if name not in self.methods:
            raise PlanError(unknown(self.kind, name, {**self.methods, **self.presets}))
        return self.methods[name]

    def name(self, method: object) -> str:
        """The name under which a method stands here."""
        return next(name for name, cls in self.methods.items() if cls is type(method))

    def dump(self, method: object) -> dict[str, Any]:
        """The words that make this method again: `parse(dump(m)) == m`."""
        return {"name": self.name(method), **dump(method, within=self)}

    def told(self, method: object) -> str:
        """What to call a method in a sentence: its name, and the settings that are not its defaults."""
        fields = [f for f in dataclasses.fields(method) if getattr(method, f.name) != f.default]  # type: ignore[arg-type]
        words = [f"{f.name} = {_text_of(getattr(method, f.name), self)}" for f in fields]
        return self.name(method) + (f" ({', '.join(words)})" if words else "")


def build(cls: type[T], values: Mapping[str, Any], where: str, within: Catalogue | None = None) -> T:
    """Make a dataclass from words, checked by its annotations; tables become nested dataclasses, or methods of `within`.

    Raises:
        PlanError: a key that does not exist (the nearest is named), one that is missing, or a value that does not fit.
    """
    if not isinstance(values, Mapping):
        raise PlanError(f"{where}: expected a table of settings, got {values!r}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise PlanError(f"{where}: {unknown('key', key, fields)}")
    missing = [n for n, f in fields.items() if n not in values and f.default is f.default_factory is dataclasses.MISSING]
    if missing:
        raise PlanError(f"{where}: expected the key {missing[0]}, which is missing: {document(cls)[missing[0]]}")
    types_ = typing.get_type_hints(cls)
    try:
        return cls(**{key: _convert(value, types_[key], f"{where}: {key}", within) for key, value in values.items()})
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from error


def dump(settings: Any, within: Catalogue | None = None) -> dict[str, Any]:
    """A dataclass as plain words for TOML or JSON; what is None or at its default empty value is left out."""
    fields = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.init}
    return {name: _plain(value, within) for name, value in fields.items() if value is not None}


def _text_of(value: Any, within: Catalogue) -> str:
    """A setting as it is read aloud."""
    if type(value) in within.methods.values():
        return within.told(value)
    if isinstance(value, tuple):
        return ", ".join(_text_of(v, within) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def key(words: Any) -> str:
    """A short hash of settings: the same words give the same key, whatever their order."""
    return blake2b(json.dumps(words, sort_keys=True).encode(), digest_size=6).hexdigest()


def document(cls: type) -> dict[str, str]:
    """The string under each field of a dataclass, in order: its documentation."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    texts = {}
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and not _of_class(statement):
            texts[statement.target.id] = inspect.cleandoc(_text(after))
    return texts


def _of_class(statement: ast.AnnAssign) -> bool:
    """Whether a name belongs to the class and is no setting."""
    return ast.unparse(statement.annotation).startswith("ClassVar")


def read_words(path: Path) -> dict[str, Any]:
    """The words of a plan file.

    Raises:
        PlanError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"cannot read the plan {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is not a TOML file: {error}") from error


def number(text: str | float | int) -> float:
    """A number, or a fraction as people write eps.

    >>> number("8/255") == 8 / 255
    True
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    try:
        top, _, bottom = str(text).partition("/")
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        raise PlanError(f"expected a number or a fraction like 8/255, got {text!r}") from None


def unknown(kind: str, name: str, known: Mapping[str, Any]) -> str:
    """The sentence for a name that does not exist, with the nearest that does."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"take one of {', '.join(sorted(known))}" if known else "there is none at all"
    return f"there is no {kind} named {name!r}: {hint}"


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _text(statement: ast.stmt | None) -> str:
    """The string that a statement consists of, if it is one."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _plain(value: Any, within: Catalogue | None) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return within.dump(value) if within and type(value) in within.methods.values() else dump(value, within)
    if isinstance(value, tuple | list):
        return [_plain(v, within) for v in value]
    return {k: _plain(v, within) for k, v in value.items()} if isinstance(value, Mapping) else value


def _convert(value: Any, wanted: Any, where: str, within: Catalogue | None) -> Any:
    if within is not None and wanted is within.role:
        return within.parse(value)
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, inner, where, within)
    if wanted is float:
        return _number(value, where)
    if dataclasses.is_dataclass(wanted):
        return build(wanted, value, where, within)  # type: ignore[arg-type]
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_convert(v, inner[0], where, within) for v in items)
    if origin is typing.Literal:
        if value in inner:
            return value
        raise PlanError(f"{where}: expected one of {', '.join(map(str, inner))}, got {value!r}")
    plain = origin or wanted
    if plain is typing.Any or (isinstance(value, plain) and not (plain is int and isinstance(value, bool))):
        return value
    raise PlanError(f"{where}: expected {_PLAIN_WORDS.get(plain) or a(plain.__name__)}, got {value!r}")


_PLAIN_WORDS = {Mapping: "a table", dict: "a table", str: "text", int: "a whole number", bool: "true or false"}
"""What types are called in messages."""


def _number(value: Any, where: str) -> float:
    try:
        return number(value)
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from None


def _convert_union(value: Any, options: tuple[Any, ...], where: str, within: Catalogue | None) -> Any:
    if value is None and type(None) in options:
        return None
    refusal = None
    for option in (o for o in options if o is not type(None)):
        try:
            return _convert(value, option, where, within)
        except PlanError as error:
            refusal = error
    raise refusal or PlanError(f"{where}: cannot read {value!r}")
