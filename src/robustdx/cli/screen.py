"""What a person sees while a command works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from robustdx.selftest.examination import Grade


class Screen:
    """The terminal: results on standard output, progress and warnings on standard error."""

    def __init__(self) -> None:
        self.out = Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False, markup=False)

    def say(self, text: str) -> None:
        """One line of result."""
        self.out.print(text)

    def warn(self, text: str) -> None:
        """One line that a person should not miss."""
        self.err.print(f"warning: {text}", style="yellow")

    @contextmanager
    def progress(self, window: float = 30.0, *, counted: bool = True) -> Iterator[Callable[[str, int, int], None]]:
        """A bar with the time left; gives a function that is told what is done, how many images, of how many.

        The time left follows from the pace of the last `window` seconds: longer where one step may take that long. What is not
        `counted` in something people know leaves its room to the description.
        """
        columns = (
            TextColumn("{task.description:<24}", markup=False),
            BarColumn(),
            *([MofNCompleteColumn()] if counted else []),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        bar, tasks = Progress(*columns, console=self.err, speed_estimate_period=window), list[TaskID]()

        def tell(what: str, done: int, total: int) -> None:
            if not tasks:  # nothing is drawn before there is something to tell: a refusal stands alone
                bar.start()
                tasks.append(bar.add_task(what, completed=done, total=total))  # what a run before has done is no pace of this one
            bar.update(tasks[0], description=what, completed=done, total=total)

        try:
            yield tell
        finally:
            if tasks:
                bar.stop()

    def results(self, results: Mapping[str, Any]) -> None:
        """The numbers that come first: accuracy of each cell with its interval."""
        table = Table("attack", "eps", "accuracy", "95 % interval", "balanced accuracy", "95 % interval")
        for cell in results["cells"]:
            if cell["split"] != results["data"]["split"]:
                continue
            eps = "" if cell["attack"] == "clean" else f"{cell['eps'] * 255:.4g}/255" if cell["threat"] == "linf" else f"{cell['eps']:g}"
            numbers = [_number(cell["metrics"].get(name)) for name in ("accuracy", "balanced_accuracy")]
            table.add_row(Text(cell["attack"]), eps, *numbers[0], *numbers[1])
        self.out.print(table)
        doubt = results["escalation"]
        self.out.print(f"Robust accuracy {doubt['verdict']}. {doubt['why']}", style="yellow" if doubt["verdict"] != "established" else None)

    def certified(self, results: Mapping[str, Any]) -> None:
        """How many answers are right and proved to hold, by the length of the change."""
        table = Table("change in L2 below", "certified accuracy", "95 % interval")
        for point in results["curve"]:
            table.add_row(f"{point['radius']:.4g}", *_number(point))
        self.out.print(table)

    def grades(self, grades: Sequence[Grade]) -> None:
        """What the auditor made of each planted defence, and how the examination went."""
        table = Table("planted defence", "", "claimed", "left", "known", "verdict", "flags", "")
        for g in grades:
            shares = (f"{share:.3f}" for share in (g.claimed, g.left, g.known))
            kind, flags = "honest" if g.honest else "fake", "; ".join(g.seen)
            table.add_row(Text(g.name), kind, *shares, g.verdict, flags, "ok" if g.passed else "FAILED")
        self.out.print(table)
        fakes, honest = [g for g in grades if not g.honest], [g for g in grades if g.honest]
        broken, doubted, kept = sum(g.broken for g in fakes), sum(g.passed for g in fakes), sum(g.passed for g in honest)
        self.out.print(f"Of {len(fakes)} fakes {broken} were broken to within a point of what is known, {doubted} that or not established.")
        self.out.print(f"Of {len(honest)} honest defences {kept} were kept.")

    def alarms(self, results: Mapping[str, Any]) -> None:
        """What a test of detectors found, and its sentence."""
        from robustdx.report.alarms import headline, row_texts

        table = Table("detector", "attack", "budget", "attacker", "AUROC", "alarms of 100 wrong", "wrong of 100", "without alarm")
        for column in table.columns[:4]:
            column.no_wrap = True
        for row in row_texts(results):
            names = ("detector", "attack", "budget", "attacker", "auroc", "detected", "broken", "broken_unnoticed")
            table.add_row(*(Text(row[name]) for name in names))
        self.out.print(table)
        self.out.print(headline(results))


def _number(value: Mapping[str, float] | None) -> tuple[str, str]:
    if value is None:
        return "", ""
    return f"{value['value']:.3f}", f"{value['low']:.3f} to {value['high']:.3f}"
