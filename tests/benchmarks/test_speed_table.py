"""The speed page says what was kept."""

from __future__ import annotations

from benchmarks.speed_table import page

MACHINE = {"processor": "a machine", "threads": 2, "versions": {"torch": "2"}}
ABOUT = {"machine": MACHINE, "size": 64, "repeats": 3, "images": 16}
CONTENDER = {"cpu_s": [3.0, 1.0, 2.0], "wall_s": [1.5, 1.0, 1.2], "robust_accuracy": {"found": 0.5, "saved": 0.6}}


def test_contenders_and_aims():
    told = [{"ours to": "fastest peer (x float32)", "cpu": 0.4, "wall": 0.6, "target": 0.5}]
    text = page({"mi robust": {**ABOUT, "threat": "Linf(0.01)", "contenders": {"robustdx": CONTENDER}, "ratios": told}})
    assert "| robustdx | 2.0 | 1.2 | 50.0% |" in text
    assert "CPU 0.40, wall 0.60; aimed at 0.5: **missed**" in text
    assert "ResNet-18 at 64 px, 16 images, Linf(0.01), 3 rounds; a machine, 2 threads; torch 2." in text


def test_floors():
    slow = {"attack": "pgd", "threat": "Linf(0.01)", "cpu": 1.05, "wall": 1.2, "calls": 41, "bare_cpu_s": 3.14, "rounds": 3}
    assert "| pgd | Linf(0.01) | 41 | 3 | 3.1 | 1.05 | **1.20** |" in page({"floor robust": {**ABOUT, "floor": [slow]}})
