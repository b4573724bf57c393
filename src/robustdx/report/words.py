"""The sentences of the first screen, made from numbers. They claim no more than was measured.

An attack that fails proves nothing, so every number under attack is an upper bound; a single-step attack is never
grounds for calling a model robust; and an interval says over what it was drawn.
"""

from __future__ import annotations

from robustdx.report import goals, numbers
from robustdx.report.doubt import unestablished
from robustdx.report.findings import Estimate, Findings, estimate
from robustdx.report.numbers import NBSP, TIMES, count, eps_range, eps_text, hundred, joined, percent, plural, threat_name, with_interval

HOLDS = 0.9
"""A worst case that keeps at least this share of the clean accuracy reads "still", a lesser one "only"."""


def headline(f: Findings) -> str:
    """The whole run in one sentence."""
    clean = estimate(f.clean, "accuracy")
    if clean is None:
        return f"{name(f)} was run on {f.data.get('name', 'the data')}; its accuracy is not defined there."
    start = f"{name(f)} decides {hundred(clean.value)} of 100 {things(f)} correctly"
    threat, eps = _shown_budget(f)
    worst = estimate(f.worst(threat, eps), "accuracy") if eps else None
    if f.guesses:
        return f"{start}, hardly better than guessing: attacking it says little."
    if eps is None or worst is None:
        return f"{start}. No attack was tried on it."
    change = "a change too small to see" if eps == f.unseen else f"a change of at most {size(threat, eps)}"
    if hit := estimate(f.worst(threat, eps), goals.REACHED):
        return f"{start}; out to {goals.aim(f)}, an adversary succeeds on {hundred(hit.value)} of 100 where it can try, with {change}."
    if unestablished(f):
        return f"{start}; how many after {change} is not established: the attacks may have failed."
    return f"{start}, {_compared_with(clean, worst, change, f.weak)}."


def _compared_with(clean: Estimate, worst: Estimate, change: str, weak: bool) -> str:
    """What is left after an attack, in words that claim no robustness."""
    left = hundred(worst.value)
    if worst.value < HOLDS * clean.value:
        return f"but {'none' if left == '0' else left if left.startswith('fewer') else f'only {left}'} after {change}"
    if weak:
        return f"and {left} after {change} that a weak attack found: no evidence that it is robust"
    return f"and still {left} after {change}, against the attacks tried"


def tested(f: Findings) -> list[str]:
    """What was tested: the model, the images, the attacks."""
    model = f"{name(f)}{_parenthesis(_traits(f))}{_behind(f)} {_purpose(f)}."
    images = f"{plural(f.clean.get('images', 0), f'{f.split} image')}{_of_groups(f)} from {f.data.get('name', 'the data')}."
    return [model, images, *([_attacks(f)] if f.attacks else [])]


def came_out(f: Findings) -> list[str]:
    """What came out: clean numbers, where the model gives way, and how often an unseen change turns the answer."""
    return [_clean(f), *(goals.reached(f) or [*_gives_way(f), *_turned(f)])]


def sure(f: Findings) -> list[str]:
    """How sure it is: what the intervals rest on, what was judged, and which way the numbers can be wrong."""
    return [_intervals(f), *([_bound(f), _judged(f)] if f.attacks else [])]


def name(f: Findings) -> str:
    """What to call the model."""
    return str(f.model.get("name") or f.model.get("source") or "The model")


def things(f: Findings) -> str:
    """What accuracy counts."""
    return "findings" if f.kind == "multilabel" else "images"


def groups(f: Findings) -> str:
    """What the images were grouped by, in the plural."""
    return str(f.data.get("groups", "patients"))


def size(threat: str, eps: float) -> str:
    """A budget as a size that can be pictured."""
    return f"{eps_text(threat, eps)} per pixel" if threat == "linf" else f"{threat_name(threat)} length {eps_text(threat, eps)}"


def strongest(f: Findings) -> str:
    """The strongest attack, with its effort."""
    attack = f.strongest or ""
    settings = next((c.get("settings") or {} for c in f.cells if c["attack"] == attack), {})
    if "steps" not in settings:
        return f"{attack.upper()}, a single step" if f.steps(attack) == 1 else attack.upper()
    starts = settings.get("restarts", 1)
    return f"{attack.upper()} with {plural(settings['steps'], 'step')}" + (f" from {starts} starts" if starts > 1 else "")


def _traits(f: Findings) -> str:
    source, parameters, shape = str(f.model.get("source") or "memory"), f.model.get("parameters"), f.model.get("size")
    parts = [source] if source.startswith(("timm:", "torchvision:")) and source != name(f) else []
    parts += [_millions(parameters)] if parameters else []
    return ", ".join([*parts, *([f"{shape[0]}{NBSP}{TIMES}{NBSP}{shape[1]} pixels"] if shape else [])])


def _behind(f: Findings) -> str:
    """What defends the network."""
    found = f.model.get("defence") or []
    return f", behind {joined(found)}," if found else ""


def _millions(n: int) -> str:
    return f"{n / 1e6:.1f} million parameters" if n >= 1e5 else f"{n:,} parameters"


def _purpose(f: Findings) -> str:
    if f.kind == "multilabel":
        return f"looks for {plural(len(f.classes), 'finding')}"
    return f"tells {joined(list(f.classes))} apart" if len(f.classes) <= 3 else f"tells {len(f.classes)} classes apart"


def _of_groups(f: Findings) -> str:
    n = f.clean.get("patients")
    return f" of {count(n)} {groups(f) if n != 1 else groups(f).removesuffix('s')}" if n else ""


def _attacks(f: Findings) -> str:
    budgets = joined([_reach(f, t) for t in f.threats])
    sees, asks = ([f.named(a) for a in f.attacks if f.asks(a) == only] for only in (False, True))
    known = "a network" if f.run.get("surrogates") else "the network"
    parts = [f"{joined(sees)}, which {_verb(sees, 'know')} {known} (white box)"] if sees else []
    parts += [f"{joined(asks)}, which only {_verb(asks, 'ask')} it (black box)"] if asks else []
    return f"Attacked by {', and by '.join(parts)}; {budgets}{_where(f)}.{_crafted_on(f)}"


def _where(f: Findings) -> str:
    """Where the adversary may change the images."""
    region = f.plan.get("region")
    return f", and only {region} the region that is marked in each image" if region else ""


def _crafted_on(f: Findings) -> str:
    """Where the adversary does not have the model."""
    names = [str(n) for n in f.run.get("surrogates", [])]
    if not names:
        return ""
    return f" The images were crafted on {joined(names)} and then shown to {name(f)} (transfer): who has the model itself finds more."


def _verb(names: list[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"


def _reach(f: Findings, threat: str) -> str:
    smallest, largest = f.eps(threat)[0], f.eps(threat)[-1]
    most = eps_text(threat, largest)
    if smallest < largest:
        most = f"{eps_text(threat, smallest).removesuffix('/255')} to {most}"
    if threat == "linf":
        return f"every pixel may change by at most {most}"
    return f"the whole change may have an {threat_name(threat)} length of at most {most}"


def _clean(f: Findings) -> str:
    accuracy, balanced = estimate(f.clean, "accuracy"), estimate(f.clean, "balanced_accuracy")
    said = [f"accuracy {with_interval(accuracy)}"] if accuracy else []
    said += [f"balanced accuracy {with_interval(balanced)}"] if balanced else []
    return f"Not attacked: {', '.join(said) or 'no accuracy is defined'}.{_compared(f, accuracy)}"


def _compared(f: Findings, accuracy: Estimate | None) -> str:
    if not f.majority or accuracy is None:
        return ""
    label, share = f.majority
    verdict = "" if accuracy.value > share else ", which is not worse"
    return f" Always answering “{label}” would score {percent(share)}{verdict}."


def _gives_way(f: Findings) -> list[str]:
    return [text for threat in f.threats for text in (_attacked(f, threat), _bounds(f, threat)) if text]


def _attacked(f: Findings, threat: str) -> str:
    """The worst case at every budget."""
    found = [(eps_text(threat, eps), e) for eps, cell in f.told(threat) if (e := estimate(cell, "accuracy"))]
    said = joined([f"{hundred(e.value)}{NBSP}% at {size.removesuffix('/255')}" for size, e in found])
    if threat == "linf":
        return f"Accuracy in the worst case: {said}/255." if found else ""
    return f"Accuracy in the worst case, by {threat_name(threat)} length: {said}." if found else ""


def _bounds(f: Findings, threat: str) -> str:
    """Where the worst case first lies below half of the clean accuracy, and below always giving the same answer."""
    clean = estimate(f.clean, "accuracy")
    if clean is None:
        return ""
    half, largest = f.first_below(threat, "accuracy", clean.value / 2), f.eps(threat)[-1]
    if half is None:
        return f"It stayed above half of the clean accuracy up to the largest change tried, {_at(threat, largest)}."
    name, share = f.majority or ("", 0.0)
    chance = f.first_below(threat, "accuracy", share) if clean.value > share else None
    always = f"below always answering “{name}”"
    if chance == half:
        return f"It first falls below half of the clean accuracy, and {always}, at {_at(threat, half)}."
    first = f"It first falls below half of the clean accuracy at {_at(threat, half)}"
    return f"{first}, {always} at {_at(threat, chance)}." if chance else f"{first}."


def _at(threat: str, eps: float) -> str:
    return eps_text(threat, eps) if threat == "linf" else f"length {eps_text(threat, eps)}"


def _turned(f: Findings) -> list[str]:
    threat, eps = _shown_budget(f)
    if not eps:
        return []
    cell, seen = f.worst(threat, eps), "" if eps != f.unseen else ", too small to see,"
    broken, changed = estimate(cell, "broken"), estimate(cell, "fooling_rate")
    start = f"A change of at most {size(threat, eps)}{seen} "
    if broken:
        return [f"{start}turned {hundred(broken.value)} of 100 right answers wrong{_given(broken)}."]
    return [f"{start}changed the decision on {hundred(changed.value)} of 100 {things(f)}{_given(changed)}."] if changed else []


def _given(e: Estimate) -> str:
    return _parenthesis(numbers.interval(e))


def _shown_budget(f: Findings) -> tuple[str, float | None]:
    """The budget that the headline speaks of: the largest that cannot be seen; else the one at which half is lost; else the largest."""
    clean, threat = estimate(f.clean, "accuracy"), f.threats[0] if f.threats else ""
    if not threat or clean is None:
        return threat, None
    return threat, f.unseen or f.first_below(threat, "accuracy", clean.value / 2) or f.eps(threat)[-1]


def _intervals(f: Findings) -> str:
    how = f"In brackets: 95{NBSP}% intervals (bootstrap{f', {count(f.resamples)} draws' if f.resamples else ''}) over"
    n = f.clean.get("patients")
    if n:
        return f"{how} the {count(n)} {groups(f)}."
    return f"{how} images, since the data names no patients: they are probably too narrow."


def _bound(f: Findings) -> str:
    if f.weak:
        return f"The strongest attack was {strongest(f)}: too weak to show that the model is robust. A usual attack would find more."
    upper = "a stronger one may find more, so the true robustness may be lower"
    return f"Attacks only ever show weakness. The strongest was {strongest(f)}; {upper}."


def _judged(f: Findings) -> str:
    attacked = [c for c in f.cells if c["eps"] > 0]
    searched = [c for c in attacked if c.get("verdict") == "searched"]
    saved, exact = "Judged in full precision on the image as saved in 8 bit", "on the unrounded image"
    if not searched:
        return f"{saved}."
    if len(searched) == len(attacked):
        return f"Judged in full precision {exact}: every change is less than one step of an 8-bit file."
    small = {t: sorted({c["eps"] for c in searched if c["threat"] == t}) for t in f.threats}
    budgets = joined([eps_range(t, budgets) for t, budgets in small.items() if budgets])
    return f"{saved}; at {budgets}, less than one of its steps, {exact}."


def _parenthesis(text: str) -> str:
    return f" ({text})" if text else ""
