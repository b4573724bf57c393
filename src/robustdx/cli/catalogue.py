"""robustdx list and robustdx describe: what there is, in the words of the code itself."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from robustdx.catalogue import Catalogue, document, unknown
from robustdx.cli import app
from robustdx.errors import PlanError

PRESETS_OF_AUDIT = "presets"
SEQUENCES_LIST = "sequences"


def rooms() -> dict[str, Catalogue]:
    """Every catalogue by the word that `list` takes."""
    from robustdx.analyses import ANALYSES
    from robustdx.attacks import ATTACKS
    from robustdx.data import SOURCES
    from robustdx.detectors import DETECTORS
    from robustdx.perturbations import PERTURBATIONS, SEQUENCES
    from robustdx.purifiers import PURIFIERS
    from robustdx.tasks import GOALS, TASKS
    from robustdx.threats import THREATS
    from robustdx.training import OBJECTIVES

    found = {"attacks": ATTACKS, "purifiers": PURIFIERS, "threats": THREATS, "tasks": TASKS, "goals": GOALS}
    natural = {"perturbations": PERTURBATIONS, "sequences": SEQUENCES}
    return {**found, "data": SOURCES, "objectives": OBJECTIVES, "detectors": DETECTORS, "analyses": ANALYSES, **natural}


@app.command("list")
def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="attacks, purifiers, detectors, analyses, perturbations, sequences, threats, tasks, goals, data, objectives or presets; "
            "left out, all."
        ),
    ] = None,
) -> None:
    """List what can be named in a plan."""
    found = rooms()
    if kind is not None and kind not in (*found, PRESETS_OF_AUDIT):
        raise PlanError(unknown("list", kind, dict.fromkeys((*found, PRESETS_OF_AUDIT))))
    for word, catalogue in found.items():
        if kind in (None, word):
            typer.echo(f"{word}:")
            wide = max(12, *(len(name) for name in (*catalogue.methods, *catalogue.presets)))
            for name, cls in sorted(catalogue.methods.items()):
                typer.echo(f"  {name:<{wide}} {_first_line(cls)}")
            for name, words in catalogue.presets.items():
                typer.echo(f"  {name:<{wide}} {_spelt(words)}")
            if word == SEQUENCES_LIST:
                typer.echo(_benchmarks(wide))
    if kind in (None, PRESETS_OF_AUDIT):
        typer.echo(f"{PRESETS_OF_AUDIT}:\n{_presets()}")


@app.command()
def describe(
    name: Annotated[
        str, typer.Argument(help="A name that `robustdx list` shows, or preset, plan, model, harden, stage, augment, worst-case, box.")
    ],
) -> None:
    """Explain one method: what it does, its source, and every setting. Where a name stands in several lists, all of them."""
    if name == "preset":
        typer.echo(_presets())
        return
    from robustdx.auditing.presets import PRESETS

    if name in PRESETS:
        typer.echo(f"{name}: {PRESETS[name].told()}\n")
        for attack in PRESETS[name].attacks:
            typer.echo(f"  {_spelt(attack)}")
        for key, given in PRESETS[name].natural.items():
            for table in given if isinstance(given, tuple) else (given,):
                typer.echo(f"  {key}: {_spelt(table)}")
        return
    preset = next((c.presets[name] for c in rooms().values() if name in c.presets), None)
    if preset is not None:
        typer.echo(f"{name} stands for {_spelt(preset)}\n")
        name = str(preset["name"])
    found = [(word, cls) for word, names in _everything().items() if (cls := names.get(name))]
    if not found:
        raise PlanError(unknown("method", name, {n: cls for names in _everything().values() for n, cls in names.items()}))
    for n, (word, cls) in enumerate(found):
        where = f" ({word})" if len(found) > 1 else ""
        typer.echo(("\n" if n else "") + f"{name}{where}: {inspect.cleandoc(cls.__doc__ or '')}\n")
        _explain(cls)


def _explain(cls: Any) -> None:
    """Every setting of a method."""
    texts = document(cls)
    for field in dataclasses.fields(cls):
        if field.init:
            typer.echo(f"  {field.name} = {_default(field)}\n      {texts[field.name]}")


def _presets() -> str:
    """What `audit --preset` takes, each with its meaning and its price."""
    from robustdx.auditing.presets import PRESETS

    return "\n".join(f"  {name:<12} {preset.told()}" for name, preset in PRESETS.items())


def _benchmarks(wide: int) -> str:
    """Presets of sequences, with their number of frames."""
    from robustdx.perturbations.sequences.presets import PRESETS

    return "\n".join(f"  {name:<{wide}} A preset: {len(p.settings)} sequences of {p.count} frames." for name, p in PRESETS.items())


def _everything() -> dict[str, dict[str, Any]]:
    """What can be described, by the list it stands in and its name there."""
    from robustdx.auditing.plan import AuditPlan
    from robustdx.models import ModelSpec
    from robustdx.perturbations.box import Box, WorstCase
    from robustdx.training.augment import Augment
    from robustdx.training.plan import HardenPlan, Stage

    tables = {"plan": AuditPlan, "model": ModelSpec, "harden": HardenPlan, "stage": Stage, "augment": Augment}
    return {
        **{word: dict(catalogue.methods) for word, catalogue in rooms().items()},
        "words": {**tables, "worst-case": WorstCase, "box": Box},
    }


def _first_line(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").splitlines()[0]


def _spelt(words: Mapping[str, Any]) -> str:
    return ", ".join(str(v) if k == "name" else f"{k} = {v}" for k, v in words.items())


def _default(field: dataclasses.Field) -> str:
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    return "(must be given)" if field.default_factory is dataclasses.MISSING else repr(field.default_factory())
