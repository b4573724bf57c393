"""The page of a run of `robustdx certify`: what is proved against what was broken, in one figure. No torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from robustdx.report.numbers import TIMES, count, duration, hundred, interval, percent, shown, with_interval
from robustdx.report.page import plotly, policy, source, templates
from robustdx.report.proof import BROKEN, PROVED, Point, Results, constant, curve, empirical, figure, measured
from robustdx.store import Store


def write_certificate(folder: Path) -> Path:
    """Write `certificate.html` from results.json and, where there is one, the audit in `empirical`; say where the page is."""
    folder = Path(folder)
    store = Store(folder)
    results = store.read_json("results.json")
    store.write_bytes("certificate.html", _page(results, empirical(folder), folder.name).encode())
    return folder / "certificate.html"


def _page(results: Results, broken: Sequence[Point], name: str) -> str:
    points = curve(results)
    scripts = [plotly(), source("report.js")]
    return (
        templates()
        .get_template("certificate.html.j2")
        .render(
            r=results,
            name=results["model"]["name"],
            headline=headline(results),
            answers=[("What was proved", proved(results)), ("What came out", came_out(results)), ("How far it goes", limits(results))],
            legend=[PROVED, *([BROKEN] if broken else [])],
            plot=figure(points, broken, results),
            rows=[(f"{r:.3g}", percent(e.value), interval(e)) for r, e in points],
            attacked=[(f"{r:.3g}", percent(e.value), interval(e)) for r, e in broken],
            facts=list(_facts(results)),
            command=results.get("command", ""),
            rebuild=f"robustdx report {shlex.quote(name)}",
            style=Markup(source("report.css")),
            scripts=[Markup(s) for s in scripts],
            policy=policy(scripts),
        )
    )


def headline(results: Results) -> str:
    """The curve at the farthest of its points within one sigma."""
    told = _told(results)
    right = hundred(told["value"]).capitalize()
    return f"{right} of 100 answers are right and proved to stay so under any change of length {told['radius']:.3g}"


def proved(results: Results) -> list[str]:
    plan = results["plan"]
    first, second = plan["samples"]
    sentences = [
        f"Every image was shown to the network under Gaussian noise of standard deviation {plan['sigma']:g} (pixels in [0, 1]), "
        f"and the network voted: {count(first)} draws choose the class, {count(second)} others bound its share of the votes.",
        f"From that share follows a radius: no change of the image shorter than it (square root of the sum of squared pixel changes) turns "
        f"the vote. One such statement is wrong with a probability of at most {plan['alpha']:g}, whatever the network is.",
    ]
    if plan.get("purifier"):
        sentences.append(f"The purifier {plan['purifier']['name']} cleans each noisy image before the network sees it.")
    return sentences


def came_out(results: Results) -> list[str]:
    """The vote itself, what is proved, and how often nothing is."""
    found, told = {name: measured(e) for name, e in results["metrics"].items()}, _told(results)
    return [
        f"The vote answers {with_interval(found['accuracy'])} rightly, without any change of the image; it calls "
        f"{percent(found['predictions_abstained'].value)} too close and abstains.",
        f"{with_interval(measured(results['curve'][0]))} are right with some proof; {with_interval(measured(told))} beyond a length of "
        f"{told['radius']:.3g}. No radius is proved for {percent(found['certificates_abstained'].value)}.",
        f"The mean radius, wrong answers counted as 0, is {found['mean_radius'].value:.3f}.",
    ]


def limits(results: Results) -> list[str]:
    plan, told = results["plan"], _told(results)
    sentences = [
        f"{s[:1].upper()}{s[1:]}, and proved so at every length: a proof is worth what it adds to that." for s in constant(results)
    ]
    if results.get("values_per_image"):
        grey = told["radius"] / results["values_per_image"] ** 0.5 * 255
        sentences.append(
            f"A change of every value in the image by {grey:.2g}/255 has the length {told['radius']:.3g}: "
            "against changes that are small everywhere the proof is that weak, against a few strongly changed pixels far stronger."
        )
    return [
        *sentences,
        f"So many draws prove {results['largest_radius']:.3g} at most; more draws prove more.",
        f"What is proved holds for the vote, not for the network alone: to rely on it, take the vote of {count(plan['samples'][1])} "
        "draws for each image. The theorem is about real numbers and true noise; this is float32 and a generator of pseudo-random numbers.",
    ]


def _told(results: Results) -> dict[str, float]:
    within = [p for p in results["curve"] if p["radius"] <= results["plan"]["sigma"] * (1 + 1e-9)]
    return dict(within[-1])


def _facts(results: Results) -> Iterator[tuple[str, str]]:
    """How the run was made, as name and value."""
    model, data, plan = results["model"], results["data"], results["plan"]
    told: dict[str, Any] = {
        "Model": model.get("source"),
        "Weights, SHA-256": model.get("sha256"),
        "Input": model.get("size") and f" {TIMES} ".join(map(str, model["size"])) + " pixels, height by width",
        "Data": data.get("source"),
        "Images": f"{count(results['images'])}, split “{data['split']}”"
        + (f", {count(results['patients']) + ' ' + str(data['groups'])}" if results["patients"] else ""),
        "Sigma": plan["sigma"],
        "Draws": f"{count(plan['samples'][0])} to choose, {count(plan['samples'][1])} to bound",
        "Alpha": plan["alpha"],
        "Purifier": plan.get("purifier") and ", ".join(f"{k} {shown(v)}" for k, v in plan["purifier"].items()),
        "Attacks beside": plan.get("attacks") and ", ".join(str(a["name"]) for a in plan["attacks"]) + f", on {plan['draws']} draws",
        "Passes": count(results["cost"]["forwards"]),
        "Time": duration(results["cost"]["seconds"]),
        "Seed": results["seed"],
        "Intervals": f"95 %, percentile bootstrap over {results['intervals']['over']}, {count(results['intervals']['resamples'])} draws",
        "Versions": ", ".join(f"{k} {v}" for k, v in {"robustdx": results["robustdx"], **results["versions"]}.items()),
    }
    return ((name, str(value)) for name, value in told.items() if value or value == 0)
