"""What an audit runs: one dataclass, read from TOML, every key documented under the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from robustdx.attacks import ATTACKS, Attack
from robustdx.auditing.natural import clips, words
from robustdx.auditing.natural.boxed import Handling
from robustdx.auditing.natural.inside import Inside, inside
from robustdx.auditing.natural.modality import modality_of
from robustdx.auditing.presets import DEFAULT, PRESETS, PresetName
from robustdx.errors import PlanError
from robustdx.models import ModelSpec
from robustdx.models.precision import Precision
from robustdx.perturbations import Modality
from robustdx.records import ESCALATION, Cell
from robustdx.tasks import GOALS, Goal
from robustdx.threats import THREATS, Linf, Threat

DEFAULT_EPS = (0.5 / 255, 1 / 255, 2 / 255, 4 / 255, 8 / 255)
DEFAULT_EPS_L2 = (0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class AuditPlan:
    """An audit in words. What to run lives here; where to run it (device, output folder) in flags.

    Paths in a plan are relative to the folder one stands in, as they are on the command line.
    """

    model: ModelSpec
    """The network: a table with `source`, `weights`, `size`, `mean`, `std`, `outputs`, ..."""
    data: str
    """The images: "synthetic", "folder:PATH", "csv:PATH", "ham10000:PATH", ...; options follow after commas."""
    task: Literal["auto", "binary", "multiclass", "multilabel", "ordinal"] = "auto"
    """What a label means; "auto" takes what the data say (two classes: binary). "ordinal": classes are grades, from mild to severe."""
    goal: Mapping[str, Any] | None = None
    """What the adversary is after, where it is not just any wrong answer: a table with `name` ("finding", "grades", ...; see
    `robustdx list goals`) and its settings. Records and accuracy stay the plain task's; `goal_reached` says how often it was reached."""
    defence: Mapping[str, Any] | None = None
    """What stands before the network: a table with the `name` of a purifier ("mdda", "jpeg", ...; see `robustdx list purifiers`) and
    its settings, or "module:callable" for one's own: a function of images, or one of the model that returns what answers in its place."""
    surrogates: tuple[ModelSpec, ...] | None = None
    """Networks that the adversary has in place of the model: images are crafted on them (on the mean of their logits, if there are
    several) and judged on the model. Left out, they are crafted on the model itself."""
    submissions: int | None = None
    """How often each attacked image is handed in (resubmission): a model that draws anew each time counts as broken if any answer is
    wrong. Left out, once. Clean images are handed in once."""
    split: str = "test"
    """The images to audit; "all" takes every image. Where the data have no splits, all are taken."""
    preset: PresetName | None = None
    """Attacks that are known to go well together, by how much they may cost: "quick", "standard", "thorough"; "clinical": the
    quick ones with all that happens without an adversary."""
    attacks: tuple[Mapping[str, Any], ...] | None = None
    """One table per attack: `name` and its settings; `label` tells two settings of one attack apart, and `images` shows an attack
    that many of the images only, drawn by patient (for the dear ones). Left out, those of `preset`, or fgsm and pgd with 40 steps."""
    threat: Literal["linf", "l2"] = "linf"
    """How a change is measured: its largest pixel, or its Euclidean length."""
    region: Literal["inside", "outside"] | None = None
    """Where the adversary may change pixels: only inside, or only outside, the mask that comes with each image (the lesion). Left out,
    everywhere."""
    eps: tuple[float | tuple[float, ...], ...] = ()
    """Budgets in pixel units, as fractions: ["1/255", "2/255"]. Left out: 0.5 to 8 /255, or 0.1 to 2 under L2. A list in the
    place of a number is an eps for each channel (linf): [["2/255", "1/255", "1/255"]]."""
    escalation: bool = True
    """Distrust the attacks: try whether the gradient tells the truth, and go on with whatever the model calls for (see
    docs/how-we-doubt.md). False leaves the plan's attacks unquestioned, and the report says so."""
    perturbations: tuple[str | Mapping[str, Any], ...] | None = None
    """What may happen to the images without an adversary (`robustdx list perturbations`): names, or tables with `name`, its settings,
    `label`, `severities` (left out: 1 to 5) and `images` (that many only, drawn by patient). "corruptions" stands for all that may
    happen to any image, "artefacts" for those that are believable on these. Left out, none."""
    sequences: tuple[str | Mapping[str, Any], ...] | None = None
    """Clips in which an image changes a little from frame to frame, to see how often the decision flips (`robustdx list sequences`): a
    preset ("centred", "xu2021", "imagenet-p"), or tables with the `name` of a sequence or preset, its settings, `label`, `count` (frames),
    `images` and `video` (every frame through H.264). Left out, none; of `data = "frozen:SET"`, the frames that it holds."""
    worst_case: Mapping[str, Any] | None = None
    """The worst that plausible handling can make of an image (turned, moved, nearer, another light, out of focus), with the average beside
    it: a table with the settings of the search (`robustdx describe worst-case`), among them `box`, how far each parameter may go;
    `sampled`, random points for the average; `images`. An empty table takes the defaults. Left out, not looked for."""
    analyses: tuple[str | Mapping[str, Any], ...] | None = None
    """What to look at inside the network (`robustdx list analyses`): names, or tables with `name`, its settings, `label` and `images` (at
    most that many, drawn by patient; 200). All look at the same images, as they came and under the plan's attacks that follow the
    gradient, at the largest eps up to 8/255. Left out, nothing."""
    subgroups: tuple[str, ...] | None = None
    """Columns of the data by which the numbers without an adversary are told once more, group by group: "sex", "age" (in decades), a site,
    a device. Other numbers with many values are cut into quarters. Left out, none."""
    modality: Modality | None = None
    """How the images were made, where the data do not say (a folder, a table): it decides which artefacts are believable."""
    images: int | None = None
    """At most about this many images, drawn by patient: for a quick look."""
    seed: int = 0
    """Seed of everything that is drawn."""
    batch_size: int = 32
    """Images at a time. The same batch size gives the same records, byte for byte."""
    precision: Precision = "auto"
    """Precision of the search; "auto" takes bfloat16 where the processor computes in it. Verdicts are always float32."""
    bootstrap: int = 1000
    """Resamples of the patients behind each 95 % interval."""
    pictures: int = 4
    """Broken images of each cell kept as pictures for the report."""

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise PlanError(f"images must be at least 1, got {self.images}")
        if self.batch_size < 1 or self.bootstrap < 100:
            raise PlanError(f"batch_size must be at least 1 and bootstrap at least 100, got {self.batch_size} and {self.bootstrap}")
        if self.submissions is not None and self.submissions < 1:
            raise PlanError(f"submissions must be at least 1, got {self.submissions}: an image that is never handed in is never judged")
        if self.preset and self.attacks is not None:
            raise PlanError(f"expected a preset or attacks, got both (preset {self.preset}): leave one of them out")
        self.aim()
        labels = [label for label, _ in self.methods()]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise PlanError(f'two attacks are called {min(twice)}: give one of them another label, label = "..."')
        if "" in labels:
            raise PlanError("expected a name for every attack, got an empty label: leave it out or fill it in")
        if {"clean", "worst", ESCALATION} & set(labels):
            raise PlanError(f"clean, worst and {ESCALATION} are names of the report: give the attack another label")
        self.shown()
        self.clips()
        self.handling()
        self.inside()
        eps = [f"{threat.eps * 255:.6g}" for threat in self.threats()]
        if eps == ["0"]:
            raise PlanError(
                "expected an eps above 0, got only 0, where every attack gives the image back: write it as a fraction like 2/255"
            )
        alike = {e for e in eps if eps.count(e) > 1}
        if alike:
            raise PlanError(f"expected eps that differ in their first six digits, got two that are {min(alike)}/255: leave one of them out")

    def methods(self) -> list[tuple[str, Attack]]:
        """The attacks by their label."""
        return [(label, attack) for label, attack, _ in self._parsed()]

    @property
    def chosen(self) -> tuple[Mapping[str, Any], ...]:
        """The attacks in words: those that are named, or those of the preset."""
        return self.attacks if self.attacks is not None else PRESETS[self.preset].attacks if self.preset else DEFAULT

    def _parsed(self) -> list[tuple[str, Attack, int | None]]:
        """Label, attack, and how many images it is shown."""
        found = []
        for spec in self.chosen:
            settings = dict(spec)
            label, images = str(settings.pop("label", settings.get("name"))), settings.pop("images", None)
            found.append((label, ATTACKS.parse(settings), words.require_number(f"attack {label}", images)))
        return found

    @property
    def made_by(self) -> Modality | None:
        """The modality of the images: what the plan says, or what the source of the data tells."""
        return self.modality or modality_of(self.data)

    def shown(self) -> list[words.Shown]:
        """The perturbations, in the order of the plan."""
        return words.perturbations(self._asked("perturbations") or (), self.made_by)

    def clips(self) -> list[clips.Clip]:
        """The sequences, in the order of the plan."""
        return clips.sequences(self._asked("sequences") or ())

    def handling(self) -> Handling | None:
        """The worst case of handling, where it is looked for."""
        asked = self._asked("worst_case")
        return None if asked is None else Handling.of(asked)

    def inside(self) -> Inside | None:
        """What is looked at inside the network, where anything is."""
        asked = self._asked("analyses")
        if not asked:
            return None
        driven = [(label, replace(a, early_stop=False) if hasattr(a, "early_stop") else a) for label, a in self.methods()]  # type: ignore[type-var]
        return inside(asked, driven, self.threats())

    def spelt(self) -> dict[str, Any]:
        """What is asked for without an adversary, spelt out; empty where nothing is."""
        asked = {"perturbations": list(words.tables(self.shown())), "sequences": list(clips.tables(self.clips()))}
        if looked := self.inside():
            asked["analyses"] = looked.words()
        handling = self.handling()
        return {key: tables for key, tables in asked.items() if tables} | ({"worst_case": handling.words()} if handling else {})

    def _asked(self, key: str) -> Any:
        """What the plan says under a key, or its preset."""
        own = getattr(self, key)
        return own if own is not None or self.preset is None else PRESETS[self.preset].natural.get(key)

    def threats(self) -> list[Threat]:
        """The threats, by growing eps."""
        usual = (PRESETS[self.preset].eps if self.preset else ()) or DEFAULT_EPS
        eps = self.eps or (usual if self.threat == "linf" else DEFAULT_EPS_L2)
        return sorted((self._threat(e) for e in set(eps)), key=lambda threat: threat.eps)

    def aim(self) -> Goal | None:
        """The adversary's goal, where there is one."""
        return None if self.goal is None else GOALS.parse(self.goal)

    def _threat(self, eps: float | tuple[float, ...]) -> Threat:
        if not isinstance(eps, tuple):
            return THREATS.parse({"name": self.threat, "eps": eps})
        if self.threat != "linf":
            raise PlanError(f"an eps for each channel is for linf, got one for {self.threat}: give one number for all channels")
        return Linf.per_channel(eps)

    def cells(self, split: str) -> Iterator[tuple[Cell, Attack, Threat]]:
        """The cells of this plan, cheapest eps first."""
        for threat in self.threats():
            for label, attack, images in self._parsed():
                yield self._cell(label, attack, threat, split, images), attack, threat

    def driven(self) -> AuditPlan:
        """The same plan with every attack driven to its end, so that scores can be ranked (AUROC)."""
        full = tuple(
            {**spec, "early_stop": False} if "early_stop" in {f.name for f in fields(a)} else spec  # type: ignore[arg-type]
            for spec, (_, a) in zip(self.chosen, self.methods(), strict=True)
        )
        return replace(self, preset=None, attacks=full)

    def _cell(self, label: str, attack: Attack, threat: Threat, split: str, images: int | None) -> Cell:
        return Cell(
            attack=label,
            threat=self.threat,
            eps=threat.eps,
            split=split,
            settings=ATTACKS.dump(attack),
            early_stop=bool(getattr(attack, "early_stop", False)),
            verdict="saved" if threat.savable or threat.eps == 0 else "searched",
            images=images,
        )


def clean_cell(split: str) -> Cell:
    """The images as they came."""
    return Cell(attack="clean", threat="", eps=0.0, split=split, settings={}, early_stop=False, verdict="saved")
