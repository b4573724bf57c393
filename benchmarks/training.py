"""An epoch of PGD-7 training of a ResNet-18 at 112 px: robustdx, ART's trainer and a plain loop around torchattacks, in one run.

.venv-peers/bin/python -W ignore -m benchmarks.training [--images 96] [--rounds 5] [--size 112]

Every contender takes the same steps on the same images in batches of 32: seven gradient steps on the image, one on the weights. Peers as
their users write them (float32), and with what we train in: bfloat16 where the processor computes in it, channels last. The
floor is the same calls of the bare network, one after the other. Times are seconds of an epoch of so many images; medians of the rounds.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor, nn

from benchmarks.attacks import machine
from benchmarks.contenders import cpu_seconds
from robustdx.catalogue import build
from robustdx.data.batches import decoded
from robustdx.training.loaded import Training
from robustdx.training.plan import HardenPlan
from robustdx.training.precision import computing
from robustdx.training.prepare import prepare
from robustdx.training.step import Step

EPS, STEPS, BATCH = 8 / 255, 7, 32
ALPHA = 2 / 255
RATE = 0.01
RESULTS = Path(__file__).parent / "results" / "training.json"
TARGETS = {"float32": 0.5, "ours": 1.0, "bare calls": 1.15}
"""Ours over the faster peer as its users write it, over the faster one with our precision and layout, and over the floor."""
Epoch = Callable[[], None]


class InOurs(nn.Module):
    """A network that computes as we train."""

    def __init__(self, network: nn.Module, precision: str) -> None:
        super().__init__()
        self.network, self.precision = network.to(memory_format=torch.channels_last), precision

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        if self.precision == "float32":
            return self.network(x)
        with torch.autocast("cpu", getattr(torch, self.precision)):
            return self.network(x).float()


def ours(training: Training) -> Epoch:
    """Our steps: reading, augmenting, searching, learning, following."""
    size, plan = training.size(0), training.plan
    learner, order = training.learner(), training.order
    step = Step(plan, plan.objective_of(0), training.train, size, plan.adversary, order.weights, training.precision)
    numbers = iter(range(10_000))

    def epoch() -> None:
        for shown in order.batches(next(numbers), BATCH):
            step(learner, shown)

    return epoch


def around_torchattacks(network: nn.Module, x: Tensor, y: Tensor) -> Epoch:
    import torchattacks

    attack = torchattacks.PGD(network, eps=EPS, alpha=ALPHA, steps=STEPS)
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)

    def epoch() -> None:
        network.train()
        for images, labels in zip(x.split(BATCH), y.split(BATCH), strict=True):
            adversarial = attack(images, labels)
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(adversarial), labels).backward()
            optimiser.step()

    return epoch


def trained_by_art(network: nn.Module, x: Tensor, y: Tensor) -> Epoch:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.defences.trainer import AdversarialTrainer
    from art.estimators.classification import PyTorchClassifier

    optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    classifier = PyTorchClassifier(
        network, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 7, optimizer=optimiser, clip_values=(0, 1), device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier, eps=EPS, eps_step=ALPHA, max_iter=STEPS, num_random_init=1, batch_size=BATCH, verbose=False
    )
    trainer = AdversarialTrainer(classifier, attack, ratio=1.0)
    images, labels = x.numpy().astype(np.float32), y.numpy()
    return lambda: trainer.fit(images, labels, batch_size=BATCH, nb_epochs=1)


def bare(training: Training, x: Tensor) -> Epoch:
    """The network's calls alone: seven forward and back to the image with frozen weights, one forward and back to the weights."""
    learning = copy.deepcopy(training.model).to(memory_format=torch.channels_last).train()
    frozen = copy.deepcopy(learning).eval().requires_grad_(False)

    def epoch() -> None:
        for images in x.contiguous(memory_format=torch.channels_last).split(BATCH):
            with computing(training.model, training.precision):
                for _ in range(STEPS):
                    leaf = images.detach().requires_grad_()
                    torch.autograd.grad(frozen.network(leaf).float().sum(), leaf)
                learning.network(images).float().sum().backward()
            learning.zero_grad()

    return epoch


def prepared(size: int, images: int) -> tuple[Training, Tensor, Tensor]:
    """A training on built-in images in memory, and the same images as a tensor for the others."""
    plan = {
        "model": {"source": "timm:resnet18", "size": size, "mean": [0.5] * 3, "std": [0.5] * 3},
        "data": f"synthetic,images={images * 2}",
        "objective": {"name": "madry", "steps": STEPS, "step_size": 0.25},
        "eps": EPS,
        "stages": [{"epochs": 1}],
        "batch_size": BATCH,
        "learning_rate": RATE,
    }
    training = prepare(build(HardenPlan, plan, where="training"))
    some = replace(training.train, examples=list(training.train.examples)[:images])
    training = replace(training, train=decoded(some, (size, size), 3))
    pixels = np.stack([training.train.read(e, (size, size), 3) for e in training.train.examples])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return training, x, torch.tensor([int(e.label) for e in training.train.examples])


def contenders(training: Training, x: Tensor, y: Tensor) -> dict[str, Epoch]:
    """By name: ours first."""

    def fresh(as_ours: bool) -> nn.Module:
        network = timm.create_model("resnet18", num_classes=7)
        return InOurs(network, training.precision) if as_ours else network

    return {
        "robustdx": ours(training),
        "bare calls": bare(training, x),
        "torchattacks float32": around_torchattacks(fresh(False), x, y),
        "ART float32": trained_by_art(fresh(False), x, y),
        "torchattacks ours": around_torchattacks(fresh(True), x, y),
        "ART ours": trained_by_art(fresh(True), x, y),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    training, x, y = prepared(args.size, args.images)
    runners = contenders(training, x, y)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for n in range(args.rounds + 1):
        for name, epoch in runners.items():
            cpu, wall = cpu_seconds(), time.perf_counter()
            epoch()
            if n:  # the first round warms up
                times[name].append((cpu_seconds() - cpu, time.perf_counter() - wall))
                print(f"{n}/{args.rounds} {name:22s} {times[name][-1][0]:7.1f} s CPU {times[name][-1][1]:7.1f} s", flush=True)
    medians = {name: [round(statistics.median(t[clock] for t in ts), 2) for clock in (0, 1)] for name, ts in times.items()}
    told = {
        "images": args.images,
        "size": args.size,
        "threads": args.threads,
        "precision": training.precision,
        "median_cpu_and_wall_s": medians,
    }
    ratios = {}
    for kind, target in TARGETS.items():
        rivals = [name for name in medians if name.endswith(kind)]
        ratio = [
            round(statistics.median(a[c] / min(times[r][i][c] for r in rivals) for i, a in enumerate(times["robustdx"])), 3) for c in (0, 1)
        ]
        ratios[kind] = {"cpu": ratio[0], "wall": ratio[1], "target": target}
        print(f"ours / fastest, {kind:12s} CPU {ratio[0]:.3f}   wall {ratio[1]:.3f}   target at most {target:g}")
    RESULTS.write_text(json.dumps({"machine": machine(), **told, "ratios": ratios}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
