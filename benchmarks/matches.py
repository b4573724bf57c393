"""Which attack of ours meets which of whose, with what budget; the order in which they are run is from cheap to costly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from peers import library
from peers.asking import art_hopskipjump, art_simba, metered, with_foolbox
from peers.auto import Auto, apgd, reference
from peers.minimal import Minimal, foolbox_attack, torchattacks_attack
from peers.momentum import BLUR
from peers.momentum import PEERS as MOMENTUM
from peers.pgd import foolbox_pgd, torchattacks_pgd
from robustdx.threats import Linf, Threat

Kind = Literal["standing", "distance", "verdicts"]
QUERIES = 1000
"""Of the attacks that only ask, but for Square, which AutoAttack gives 5,000."""
SIMBA_STEP = 0.2


@dataclass(frozen=True)
class Match:
    """One row of the table for each network and peer."""

    attack: str
    threat: Literal["linf", "l2"]
    ours: Mapping[str, Any]
    """The words of our attack."""
    peers: Mapping[str, Auto]
    kind: Kind = "standing"
    """What is compared: robust accuracy, the median smallest distance, or the verdict on each image."""
    repeats: int = 1
    """Runs with a seed each, where chance plays a part and a run is cheap."""
    classes: int = 2
    """The peers refuse fewer."""
    slow: bool = field(default=False)
    """Needs minutes for each network."""

    @property
    def name(self) -> str:
        return f"{self.attack} {self.threat}"


def pgd(call: Any) -> Auto:
    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        found: Tensor = call(network, x, y, threat, 40, 2.5 / 40)
        return found

    return run


def momentum(name: str) -> Auto:
    return lambda network, x, y, threat, classes: MOMENTUM[name](network, x, y, threat.eps, 10)


def foolbox_mi(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
    import foolbox

    attack = foolbox.attacks.LinfMomentumIterativeFastGradientMethod(steps=10, rel_stepsize=0.1)
    found: Tensor = attack(foolbox.PyTorchModel(network, bounds=(0, 1)), x, y, epsilons=threat.eps)[1]
    return found


def minimal(attack: Minimal) -> Auto:
    return lambda network, x, y, threat, classes: attack(network, x, y, threat)


def fab(**settings: Any) -> Auto:
    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        norm = "Linf" if isinstance(threat, Linf) else "L2"
        made = torchattacks_attack("FAB", norm=norm, steps=100, eps=threat.eps, n_classes=classes, **settings)
        return made(network, x, y, threat)

    return run


def both(attack: str, words: Mapping[str, Any], peers: Mapping[str, Auto], **more: Any) -> list[Match]:
    """The same under Linf and under L2."""
    return [Match(attack, threat, words, peers, **more) for threat in ("linf", "l2")]


PGD = {"name": "pgd", "steps": 40, "step_size": 2.5 / 40}
CW = {"foolbox": minimal(foolbox_attack("L2CarliniWagnerAttack", steps=100, binary_search_steps=6))}
CW |= {"torchattacks": minimal(torchattacks_attack("CW", steps=600))}
CW |= {"adv-lib": library.attack("carlini_wagner.l2", "carlini_wagner_l2", max_iterations=100, binary_search_steps=6)}
DEEPFOOL = {"foolbox": minimal(foolbox_attack("L2DeepFoolAttack")), "torchattacks": minimal(torchattacks_attack("DeepFool"))}
DEEPFOOL |= {"adv-lib": library.attack("deepfool", "df", norm=True, steps=50)}
FAB = {"torchattacks": fab(), "adv-lib": library.attack("fast_adaptive_boundary", "fab", norm=True)}
FAB_T = {
    "torchattacks": fab(multi_targeted=True),
    "adv-lib": library.attack("fast_adaptive_boundary", "fab", norm=True, targeted_restarts=True),
}
FMN = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack"}


MATCHES: tuple[Match, ...] = (
    *both("pgd", PGD, {"torchattacks": pgd(torchattacks_pgd), "foolbox": pgd(foolbox_pgd)}, repeats=10),
    Match("mi", "linf", {"name": "mi"}, {"torchattacks": momentum("mi"), "foolbox": foolbox_mi}),
    # One coin tells whether torchattacks shrinks the whole batch: over 10 seeds it said so 4 times of 10, over 20 as often as it should.
    Match("di", "linf", {"name": "di"}, {"torchattacks": momentum("di")}, repeats=20),
    Match("ti", "linf", {"name": "ti", "smooth": BLUR}, {"torchattacks": momentum("ti")}),
    Match("deepfool", "l2", {"name": "deepfool"}, DEEPFOOL, "distance"),
    Match("deepfool", "linf", {"name": "deepfool"}, {"foolbox": minimal(foolbox_attack("LinfDeepFoolAttack"))}, "distance"),
    Match(
        "ddn",
        "l2",
        {"name": "ddn"},
        {
            "foolbox": minimal(foolbox_attack("DDNAttack", steps=100)),
            "adv-lib": library.attack("decoupled_direction_norm", "ddn", levels=None),
        },
        "distance",
    ),
    *(
        Match(
            "fmn",
            threat,
            {"name": "fmn"},
            {
                "foolbox": minimal(foolbox_attack(FMN[threat], steps=100)),
                "adv-lib": library.attack("fast_minimum_norm", "fmn", norm=True, steps=100),
            },
            "distance",
        )
        for threat in ("linf", "l2")
    ),
    *both(
        "apgd-ce",
        {"name": "apgd"},
        {
            "torchattacks": apgd("ce"),
            "reference": reference("apgd-ce"),
            "adv-lib": library.attack("auto_pgd", "apgd", norm=True, budget=True, loss_function="ce"),
        },
        repeats=3,
    ),
    *both("fab", {"name": "fab"}, FAB, kind="distance"),
    Match("cw", "l2", {"name": "cw"}, CW, "distance", slow=True),
    *both(
        "apgd-t",
        {"name": "apgd-targeted"},
        {
            "reference": reference("apgd-t"),
            "adv-lib": library.attack("auto_pgd", "apgd_targeted", norm=True, budget=True),
        },
        classes=4,
        slow=True,
    ),
    *both("fab-t", {"name": "fab", "targets": 9}, FAB_T, kind="distance", classes=3, slow=True),
    *both(
        "hopskipjump",
        {"name": "hopskipjump", "queries": QUERIES, "early_stop": False},
        {"foolbox": metered(with_foolbox("HopSkipJumpAttack", steps=1000), QUERIES), "art": metered(art_hopskipjump, QUERIES)},
        kind="distance",
        slow=True,
    ),
    Match(
        "boundary",
        "l2",
        {"name": "boundary", "queries": QUERIES, "early_stop": False},
        {"foolbox": metered(with_foolbox("BoundaryAttack", steps=10**6), QUERIES, together=True)},
        "distance",
        slow=True,
    ),
    Match(
        "simba",
        "l2",
        {"name": "simba", "queries": QUERIES, "step_size": SIMBA_STEP},
        {"art": metered(art_simba(SIMBA_STEP), QUERIES)},
        slow=True,
    ),
    *both("square", {"name": "square"}, {"reference": reference("square")}, slow=True),
    Match(
        "autoattack",
        "linf",
        {"name": "autoattack"},
        {"reference": reference()},
        "verdicts",
        classes=4,
        slow=True,
    ),
)
