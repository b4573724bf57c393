"""What a training would do and about how long it would take, measured by a few steps."""

from __future__ import annotations

import time
from dataclasses import replace

from robustdx.data.batches import decoded
from robustdx.training.loaded import Training
from robustdx.training.step import Step


def outlook(training: Training) -> str:
    """The stages in words, each with its time on this machine as it is now; nothing is written."""
    plan, order = training.plan, training.order
    lines, whole = [], 0.0
    for i, stage in enumerate(plan.stages):
        seconds = stage.epochs * training.batches * step_seconds(training, i)
        whole += seconds
        size = "x".join(map(str, training.size(i)))
        lines.append(f"{stage.epochs:g} epochs of {training.batches} steps, {plan.objective_name(i)}, {size}: about {_words(seconds)}")
    classes = ", ".join(f"{training.train.classes[c] if c < len(training.train.classes) else 'none'} {n}" for c, n in order.quota.items())
    images = f"{len(training.train)} training and {len(training.val)} validation images; shown in each epoch: {classes}"
    chosen = f"Epoch chosen by {training.judge.criterion.replace('_', ' ')} on the validation images; {training.precision}"
    return "\n".join([images, *lines, chosen, f"In all about {_words(whole)}, and the time to judge each epoch"])


def step_seconds(training: Training, stage: int) -> float:
    """Seconds of one step: the second of two."""
    plan, learner, size = training.plan, training.learner(), training.size(stage)
    shown = training.order.batches(0, plan.step_images)[0]
    some = replace(training.train, examples=[training.train.examples[s.index] for s in shown])
    some = decoded(some, size, training.model.channels)
    step = Step(plan, plan.objective_of(stage), some, size, plan.adversary_of(stage), training.order.weights, training.precision)
    for _ in range(2):
        began = time.monotonic()
        step(learner, [replace(s, index=i) for i, s in enumerate(shown)])
        seconds = time.monotonic() - began
    return seconds


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
