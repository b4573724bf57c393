"""The members of a cascade: what they are called, and which of them broke which image."""

from __future__ import annotations

from robustdx.attacks import ATTACKS, Attack, Cascade, Model
from robustdx.draws import Draws
from robustdx.records import called
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


def told(attack: Attack, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> tuple[Images, dict[str, str]]:
    """What an attack makes of the images, and by their id which member of a cascade broke them; nothing for a plain attack."""
    if not isinstance(attack, Cascade):
        return attack(model, x, y, threat, draws).detach(), {}
    x_adv, by = attack.told(model, x, y, threat, draws)
    names = called([ATTACKS.dump(member) for member in attack.members])
    return x_adv.detach(), {i: names[n] for i, n in zip(draws.ids, by.tolist(), strict=True) if n >= 0}
