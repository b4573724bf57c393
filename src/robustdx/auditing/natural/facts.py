"""What the report says about a run without an adversary: part of run.json."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from robustdx.auditing.natural.recorded import Recorded
from robustdx.catalogue import document
from robustdx.records import ANALYSIS

if TYPE_CHECKING:
    from robustdx.auditing.run import Audit


def natural_facts(audit: Audit) -> dict[str, Any]:
    """The modality, and what each method and its settings mean, for the report, which knows none; empty where nothing is asked."""
    documents: dict[str, dict[str, Any]] = {}
    for cell, method in audit.natural:
        if cell.natural == ANALYSIS:
            documents.setdefault(ANALYSIS, {})  # they say themselves what they are, in analyses.json
            continue
        documents.setdefault(cell.natural, {})[cell.attack] = documented(_class_of(method))
    return {"natural": {"modality": audit.plan.made_by, "documents": documents}} if documents else {}


def documented(method: type) -> dict[str, Any]:
    """What a method and its settings mean, in its own words."""
    about = (inspect.getdoc(method) or "").partition("\n")[0]
    return {"about": about, "fields": document(method)}


def _class_of(method: Any) -> type:
    """What says of itself what it is: the sequence that was frozen, the search behind a worst case, or the method."""
    return method.original if isinstance(method, Recorded) else type(getattr(method, "worst", method))
