"""The six networks of the strength table, with the test images they are attacked on: trained on real images once, then loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.victims import OBJECTIVES
from robustdx.attacks import FMN
from robustdx.data import Dataset, load_dataset
from robustdx.data.batches import batch
from robustdx.data.split import with_splits
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, ModelSpec, load
from robustdx.store import Store
from robustdx.tasks.goals import Aimed, Finding
from robustdx.tensors import Labels
from robustdx.threats import L2, Linf, Threat
from robustdx.training.loop import Loop
from robustdx.training.plan import HardenPlan, Stage
from robustdx.training.prepare import prepare, words

SIZE = (32, 32)
"""Small, so that what costs ten thousand passes an image, on every network and by every library, ends in two hours on one core."""
HAM = "ham10000:{root}/derm_ham10000_200x150,split=split_by_lesion.csv"
CHILDREN = r"folder:{root}/cxr_pneumonia_224/chest_xray,patient=(person\d+|IM-\d+)"
CHESTS = "csv:{root}/cxr14_multilabel_64/multilabel.csv"
FAR: dict[str, Threat] = {"linf": Linf(1.0), "l2": L2(100.0)}
"""Threats without a limit, for attacks that look for the smallest distance."""
GAUGE = 32
"""So many images tell the budget of a network."""


@dataclass(frozen=True)
class Recipe:
    """How one network comes about."""

    source: str
    data: str
    epochs: int
    start: str | None = None
    """The undefended network that a robust one goes on from; it then learns against an adversary of 8/255."""
    finding: str | None = None
    """With several findings: the one that an image is about, so that peers, who know classes only, can take part."""


RECIPES: dict[str, Recipe] = {
    "resnet18": Recipe("timm:resnet18", HAM, 5),
    "resnet18 robust": Recipe("timm:resnet18", HAM, 3, start="resnet18"),
    "cnn": Recipe("cnn", HAM, 5),
    "cnn robust": Recipe("cnn", HAM, 3, start="cnn"),
    "binary": Recipe("cnn", CHILDREN, 8),
    "14 labels": Recipe("cnn", CHESTS, 30, finding="Effusion"),
}


@dataclass(frozen=True)
class Arena:
    """One network as both sides see it, and images that it decides rightly."""

    name: str
    model: DiagnosticModel
    plain: nn.Module
    """What the peers attack: pixels in [0, 1] to a logit for each class, two at least."""
    x: Tensor
    y: Labels
    """As our task wants them."""
    classes: Tensor
    """(N,): as the peers want them."""
    ids: tuple[str, ...]
    eps: dict[str, float]
    """By threat: under which about half of the images stand, so that a weaker attack shows."""
    weights: str
    """The beginning of the SHA-256 of the network's weights."""

    @property
    def draws(self) -> Draws:
        return Draws(0, self.ids)

    def only(self, n: int) -> Arena:
        """The first n of the images."""
        return replace(self, x=self.x[:n], y=self.y[:n], classes=self.classes[:n], ids=self.ids[:n])

    def threat(self, name: str) -> Threat:
        return Linf(self.eps["linf"]) if name == "linf" else L2(self.eps["l2"])


class Logits(nn.Module):
    """A model's outputs as a logit for each class: one logit z becomes (0, z); of several findings, the one that is asked about."""

    def __init__(self, model: DiagnosticModel, finding: int | None) -> None:
        super().__init__()
        self.network, self.finding = model.network, finding
        self.register_buffer("mean", model.mean.clone())
        self.register_buffer("std", model.std.clone())

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network((x - self.mean) / self.std)
        if self.finding is not None:
            logits = logits[:, [self.finding]]
        return torch.cat((torch.zeros_like(logits), logits), 1) if logits.shape[1] == 1 else logits


def arena(name: str, root: Path, home: Path, images: int) -> Arena:
    """A network of the table, trained now if it is not kept in `home`, with images spread evenly over those it decides rightly."""
    recipe, folder = RECIPES[name], trained(name, root, home)
    data = with_splits(load_dataset(recipe.data.format(root=root))).only("test")
    model = load(ModelSpec(source=str(folder), size=SIZE), data.kind, data.classes).eval().requires_grad_(False)
    if recipe.finding is not None:
        model = model.with_task(Aimed(model.task, Finding(recipe.finding, "turned", keep_others=False)))
    finding = None if recipe.finding is None else data.classes.index(recipe.finding)
    plain = Logits(model, finding).eval()
    x, y, classes, ids = right(data, model, plain, finding, max(images, GAUGE))
    kept = folder / "eps.json"
    if not kept.is_file():
        kept.write_text(json.dumps({kind: gauged(model, x[:GAUGE], y[:GAUGE], ids[:GAUGE], kind) for kind in FAR}))
    weights = sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
    return Arena(name, model, plain, x, y, classes, ids, json.loads(kept.read_text()), weights).only(images)


def right(
    data: Dataset, model: DiagnosticModel, plain: nn.Module, finding: int | None, images: int
) -> tuple[Tensor, Labels, Tensor, tuple[str, ...]]:
    """Images that are decided rightly: those of a random order of the test images, always the same, that come first."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()[: 6 * images]
    pixels, y = batch(data, order, SIZE, model.channels)
    x = pixels.float() / 255
    classes = (y if finding is None else y[:, finding]).long()
    with torch.no_grad():
        at = (torch.cat([plain(part) for part in x.split(64)]).argmax(1) == classes).nonzero()[:images, 0]
    if len(at) < images:
        raise SystemExit(f"expected {images} test images that the network decides rightly, found {len(at)}: ask for fewer with --images")
    return x[at], y[at], classes[at], tuple(data.examples[order[i]].id for i in at.tolist())


def gauged(model: DiagnosticModel, x: Tensor, y: Labels, ids: tuple[str, ...], kind: str) -> float:
    """The median of the smallest distances, to two digits: a budget under which about half of the images stand."""
    far = FAR[kind]
    x_adv = FMN()(model, x, y, far, Draws(0, ids))
    return float(f"{float(far.distance(x_adv, x).median()):.2g}")


def trained(name: str, root: Path, home: Path) -> Path:
    """The run folder of a network; made once, resumed where it was stopped."""
    recipe, folder = RECIPES[name], home / name.replace(" ", "-")
    robust = recipe.start is not None
    start = str(trained(recipe.start, root, home)) if recipe.start is not None else None
    training = prepare(
        HardenPlan(
            model=ModelSpec(source=recipe.source, size=SIZE),
            data=recipe.data.format(root=root),
            objective=OBJECTIVES["robust" if robust else "undefended"],
            eps=8 / 255,
            stages=(Stage(epochs=recipe.epochs),),
            start=start,
            learning_rate=0.02 if robust else 0.05,
        )
    )
    store = Store.open(folder, words(training))
    if not store.whole:
        print(f"training {name}, once: it is kept in {folder}", flush=True)
        Loop(training, store, lambda what, done, total: None).run(lambda epoch: print(f"  {epoch}", flush=True))
    return folder
