"""docs/speed.md, from what benchmarks.speed kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

HEADING = """
# How long the attacks take, beside those of other libraries

Written by `python -m benchmarks.speed` (part of `make bench`); every line is measured, none is edited.

- Contenders take turns on the same images, which the network decides rightly, with the same budget: 8/255 on an undefended network, and
  on a robust one that under which about half of the images stand. Times are medians over the rounds, CPU seconds of all threads and wall.
- **robustdx** is the audit's whole path: clean records, the search, both verdicts in float32. **float32** is a peer as its users get it;
  **bfloat16** or **channels-last** is a peer that is handed the very network we search with: channels last, and in bfloat16 where the
  processor computes in it (AVX512-bf16, AMX), else in float32. Of a peer only its attack is timed.
- **Robust accuracy** is judged in float32 on the images as found: a quicker attack that finds less would be none.
- **Over the floor** is our time over that of the same calls of the bare network, one after the other and nothing else; aimed at: 1.10.
"""


def page(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page."""
    lines = [HEADING.strip()]
    for name, part in sorted(kept.items()):
        lines += ["", f"## {name}", "", _how(part), ""]
        lines += _floors(part) if "floor" in part else _contenders(part)
    return "\n".join(lines) + "\n"


def _how(part: Mapping[str, Any]) -> str:
    m = part["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    under = f", {part['threat']}" if "threat" in part else ""
    start = f"ResNet-18 at {part['size']} px, {part['images']} images{under}, {part['repeats']} rounds"
    return f"{start}; {m['processor']}, {m['threads']} threads; {versions}."


def _contenders(part: Mapping[str, Any]) -> Iterator[str]:
    yield "| who | CPU s | wall s | robust accuracy |"
    yield "|---|--:|--:|--:|"
    for who, c in part["contenders"].items():
        yield f"| {who} | {median(c['cpu_s']):.1f} | {median(c['wall_s']):.1f} | {c['robust_accuracy']['found']:.1%} |"
    yield ""
    for r in part["ratios"]:
        yield f"- ours / {r['ours to']}: CPU {r['cpu']:.2f}, wall {r['wall']:.2f}{_aim(r)}"


def _aim(r: Mapping[str, Any]) -> str:
    if r["target"] is None:
        return ""
    return f"; aimed at {r['target']:g}: {'met' if max(r['cpu'], r['wall']) <= r['target'] else '**missed**'}"


def _floors(part: Mapping[str, Any]) -> Iterator[str]:
    yield "| attack | under | calls | rounds | bare CPU s | ours / bare, CPU | wall |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for f in part["floor"]:
        told = [f"{f[clock]:.2f}" if f[clock] <= 1.10 else f"**{f[clock]:.2f}**" for clock in ("cpu", "wall")]
        yield f"| {f['attack']} | {f['threat']} | {f['calls']} | {f['rounds']} | {f['bare_cpu_s']:.1f} | {told[0]} | {told[1]} |"
