"""Q8 and the second half of Q6, answered from the runs of benchmark.sh: python -m reproduce.xu.benchmark RUNS > benchmark.md

Q8: undefended networks flip often on the Robust-Benchmark; adversarial training changes it (the direction for each perturbation is open).
Q6: the attacks move response areas, and destroy what tells the classes apart and which findings go together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproduce.verdicts import Answer, Question, answered, line, page, signed
from reproduce.xu import inside_claims
from reproduce.xu.inside_claims import Inside
from robustdx.auditing.natural.flipping import CONSTANT, Clips
from robustdx.metrics.flips import flips
from robustdx.records import SEQUENCE
from robustdx.store import Store

NETWORKS = {"attnmel": "AttnMel", "attnmel-224": "AttnMel at 224", "inception": "Inception-v3", "chexnet": "CheXNet"}
PLAIN, LONGER = "undefended", "longer"
HARDENED = {"mpadvt": "MPAdvT", "maadvt": "MAAdvT", "auto": "auto"}
METHODS = {PLAIN: PLAIN, LONGER: "trained longer", **HARDENED}
PRESETS = ("xu2021", "centred")
OFTEN = 0.05
"""What Q8's "high" is taken to be: of the decisions that were right, one in twenty changes from a frame to the next."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Watched:
    """What one network said of every frame."""

    clips: Mapping[str, Clips]
    """By label: "xu2021 rotate"."""
    results: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Watched:
        """From an audit's folder; images in one order, whatever that of the records."""
        store = Store(folder)
        clips = {cell.attack: Clips.read(cell, records.sort_by("id"), None) for cell, records in store.natural(SEQUENCE)}
        return cls(clips, store.read_json("results.json"))

    @cached_property
    def first(self) -> Clips:
        return next(iter(self.clips.values()))

    @property
    def patients(self) -> list[str]:
        return [patient or i for patient, i in zip(self.first.patients, self.first.ids, strict=True)]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N, D): which decisions were right on the images as they came; what is not annotated was not."""
        return self.first.clean == self.first.labels

    def of(self, preset: str) -> list[str]:
        """The labels of a preset's sequences."""
        return [label for label in self.clips if label.startswith(f"{preset} ")]

    def flips(self, label: str) -> Array:
        """(N, D): the share of compared frames on which each decision differs."""
        clip = self.clips[label]
        return flips(clip.decided, clip.cell.compared)  # type: ignore[arg-type]

    def frame_accuracy(self, label: str) -> float:
        """The share of decisions over all frames that are right."""
        clip, known = self.clips[label], ~np.isnan(self.first.labels)
        return float((clip.decided == clip.labels[:, None]).sum() / (known.sum() * clip.decided.shape[1]))

    @property
    def usual(self) -> float:
        """The share of all frames that the most frequent answer takes; of findings, the smallest over them."""
        said = np.concatenate([c.decided.reshape(-1, c.decided.shape[2]) for c in self.clips.values()])
        return min(float(np.unique(column, return_counts=True)[1].max() / len(column)) for column in said.T)

    @property
    def constant(self) -> bool:
        """Whether there is nothing that could flip."""
        return self.usual >= CONSTANT

    @property
    def mute(self) -> bool:
        """Whether nothing can be asked of it."""
        return self.constant or not self.right.any()


Networks = Mapping[str, Watched]
"""By training, of one victim."""


def per_image(network: Watched, labels: Sequence[str], right: NDArray[np.bool_]) -> Array:
    """(N,): the mean over sequences of the share of flips among the decisions named right; 0 where none is named."""
    asked = np.maximum(right.sum(1), 1)
    return np.mean([(network.flips(label) * right).sum(1) / asked for label in labels], axis=0)


def often(name: str, networks: Networks, preset: str) -> Question:
    """Q8: the undefended network flips often."""
    plain = networks[PLAIN]
    keep = plain.right.any(1)
    values = per_image(plain, plain.of(preset), plain.right)[keep].tolist()
    return Question(f"{name}: {preset}, mean of all sequences", values, [OFTEN] * len(values), _of(plain.patients, keep))


@dataclass(frozen=True)
class Compared:
    """Whether one training flips less than another, over some sequences."""

    claim: str
    before: Watched
    after: Watched
    labels: Sequence[str]

    @property
    def untold(self) -> str:
        """Why nothing can be told, if so."""
        if any(network.constant for network in (self.before, self.after)):
            return "one answer to nearly all"
        return "" if (self.before.right & self.after.right).any() else "they have no right answer in common"

    @property
    def question(self) -> Question:
        """On the decisions that both had right."""
        before, after = self.before, self.after
        if before.first.ids != after.first.ids:
            raise SystemExit(f"{self.claim}: audited on other images: run benchmark.sh in a new folder")
        right = before.right & after.right
        keep = right.any(1)
        first, second = (per_image(n, self.labels, right)[keep].tolist() for n in (before, after))
        return Question(self.claim, first, second, _of(before.patients, keep))

    def row(self, answer: Answer) -> list[str]:
        """The direction and what it was told from."""
        asked, held = answer.question, (np.mean([n.frame_accuracy(label) for label in self.labels]) for n in (self.before, self.after))
        direction = {"holds": "lower", "does not hold": "higher"}.get(answer.words, answer.words)
        flipped = [f"{np.mean(values):.4f}" for values in (asked.first, asked.second)]
        interval = f"{signed(answer.low)} to {signed(answer.high)}"
        told = [signed(answer.difference), interval, f"{answer.p:.4f}", str(len(asked.first)), " and ".join(f"{v:.3f}" for v in held)]
        return [self.claim, f"**{direction}**", *flipped, *told]


def _of(patients: Sequence[str], keep: NDArray[np.bool_]) -> list[str]:
    return [patient for patient, kept in zip(patients, keep, strict=True) if kept]


def compared(all_networks: Mapping[str, Networks], preset: str, each: bool, against: str) -> Iterator[Compared]:
    """Every hardened network against another, by the mean of the sequences or by each of them."""
    for name, networks in all_networks.items():
        for method in (m for m in HARDENED if m in networks and against in networks):
            labels = networks[method].of(preset)
            for asked in [[label] for label in labels] if each else [labels] if labels else []:
                what = asked[0].removeprefix(f"{preset} ") if each else "mean"
                yield Compared(f"{name}, {METHODS[method]}: {what}", networks[against], networks[method], asked)


def directions(all_networks: Mapping[str, Networks], preset: str, each: bool, against: str = PLAIN) -> Iterator[str]:
    """A table, and one family for Holm; nothing where there is nothing to compare. What cannot be told is said of the mean alone."""
    pairs = [pair for pair in compared(all_networks, preset, each, against) if not (each and pair.untold)]
    if not pairs:
        return
    family = [pair for pair in pairs if not pair.untold]
    rows = {pair.claim: pair.row(answer) for pair, answer in zip(family, answered([p.question for p in family]), strict=True)}
    head = ["network, training: sequence", "direction", METHODS[against], "hardened", "lower by", "95 % interval", "p (Holm)", "images"]
    head.append("accuracy over the frames")
    yield from (line(head), line(["---"] * len(head)))
    for pair in pairs:
        yield line(rows.get(pair.claim) or [pair.claim, f"**cannot be told**: {pair.untold}", *["-"] * (len(head) - 2)])


def beside(all_networks: Mapping[str, Networks]) -> Iterator[str]:
    """What belongs beside every flip probability: how good each network is, attacked or not, and how often it says the same."""
    head = ["network", "training", "accuracy", "balanced accuracy", "under PGD", "most frequent answer"]
    yield from (line([*head, *(f"mean flip probability, {p}" for p in PRESETS)]), line(["---"] * (len(head) + len(PRESETS))))
    for name, networks in all_networks.items():
        for method, network in networks.items():
            cells = {c["attack"]: c["metrics"] for c in network.results["cells"] if c["split"] == "test"}
            shares = [_share(cells.get("clean"), "accuracy"), _share(cells.get("clean"), "balanced_accuracy"), _share(cells.get("pgd"))]
            flipped = [float(np.mean([network.flips(label) for label in network.of(p)])) if network.of(p) else np.nan for p in PRESETS]
            yield line([name, METHODS[method], *shares, f"{network.usual:.3f}", *(f"{v:.4f}" for v in flipped)])


def _share(metrics: Mapping[str, Any] | None, name: str = "accuracy") -> str:
    found = (metrics or {}).get(name)
    return "-" if found is None else f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def read(runs: Path) -> tuple[dict[str, Networks], dict[str, Inside]]:
    """What has been measured; what has not is left out."""
    watched: dict[str, Networks] = {}
    for key, name in NETWORKS.items():
        found = {method: Watched.read(runs / f"{key}-{method}-audit") for method in METHODS if Store(runs / f"{key}-{method}-audit").whole}
        if PLAIN in found:
            watched[name] = found
    inside = {name: Inside.read(runs / f"{key}-inside") for key, name in NETWORKS.items() if Store(runs / f"{key}-inside").whole}
    return watched, inside


HEAD = """# The Robust-Benchmark, and what the attacks do inside: what was measured

Made by `reproduce/xu/benchmark.sh`; what was asked, and why so, is in [benchmark-plan.md](benchmark-plan.md), which is older than
every number here. Flip probability is over decisions that were right before anything changed; of two networks, over those that both
had right. Intervals over patients.
"""
INSIDE = {"Response areas: Pearson's correlation with the map of the clean image": inside_claims.areas, "Features": inside_claims.features}


def flipping(watched: Mapping[str, Networks]) -> Iterator[str]:
    yield from ("## How good the networks are\n", *beside(watched), "", "## Q8\n")
    said = ", ".join(name for name, n in watched.items() if n[PLAIN].mute)
    if said:
        yield f"One answer to nearly all frames, or none that is right, so that nothing can be told of flips: {said}.\n"
    asked = [often(name, n, preset) for name, n in watched.items() if not n[PLAIN].mute for preset in PRESETS if n[PLAIN].of(preset)]
    yield from page(f"Undefended networks flip more than {OFTEN:.0%} from frame to frame", answered(asked)) if asked else ()
    for preset in PRESETS:
        for each, what in ((False, "mean of the sequences"), (True, "each sequence")):
            yield from titled(f"### After adversarial training, {preset}: {what}", directions(watched, preset, each))
    title = "### Beside a network trained on plainly for as long, xu2021"
    yield from titled(title, directions(watched, PRESETS[0], each=False, against=LONGER))


def titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    """A part of the page, where it has any lines."""
    found = list(lines)
    yield from (title, "", *found, "") if found else ()


def looked(inside: Mapping[str, Inside]) -> Iterator[str]:
    yield "## Q6: inside the networks, each attack against its own change with the pixels shuffled\n"
    for name, m in inside.items():
        yield from (f"### {name}, {len(m.labels)} images\n", *inside_claims.tables(m), "")
    for title, ask in (
        ("Response areas (Pearson's correlation with the clean map)", inside_claims.areas),
        ("Features", inside_claims.features),
    ):
        family = [q for name, m in inside.items() for q in ask(name, m)]
        yield from page(title, answered(family)) if family else ()
    found = [a for name, m in inside.items() if m.findings for a in inside_claims.together(name, m)]
    yield from page("Which findings go together", found) if found else ()


def main(arguments: Sequence[str]) -> None:
    watched, inside = read(Path(arguments[0]))
    if not watched and not inside:
        raise SystemExit(f"expected runs of benchmark.sh in {arguments[0]}, which has none that is whole: run it first")
    parts = [HEAD, *(flipping(watched) if watched else ()), *(looked(inside) if inside else ())]
    print("\n".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
