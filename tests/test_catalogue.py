"""Plans' words become methods and come back as words; slips are named with what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pytest

from robustdx.catalogue import Catalogue, a, build, document, dump, key, number, unknown
from robustdx.errors import PlanError


@dataclass(frozen=True)
class Inner:
    """A table within a table."""

    depth: int
    """How deep."""
    share: float = 0.5


@dataclass(frozen=True)
class Method:
    """Something with a field of every kind."""

    steps: int = 10
    """How many."""
    size: int | tuple[int, ...] | None = None
    """One number,
    or several."""
    eps: tuple[float, ...] = ()
    """Budgets."""
    mode: Literal["mean", "last"] = "mean"
    name_of: str = "x"
    random: bool = True
    """Whether."""
    inner: Inner = field(default_factory=lambda: Inner(1))
    extra: Mapping[str, Any] | None = None
    inners: tuple[Inner, ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@dataclass(frozen=True)
class Other:
    """Another one."""


THINGS = Catalogue("thing", {"method": Method, "other": Other})


def made(**words: Any) -> Method:
    return build(Method, words, where="plan")


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_name_alone_or_a_table_with_settings():
    assert THINGS.parse("method") == Method()
    assert THINGS.parse({"name": "method", "steps": 3}) == Method(steps=3)
    assert THINGS.find("other") is Other
    assert THINGS.name(Method(steps=7)) == "method"


def test_a_preset_is_another_name_for_some_settings():
    things = Catalogue("thing", {"method": Method}, presets={"long": {"name": "method", "steps": 99}})
    assert things.parse("long") == Method(steps=99)
    assert things.parse({"name": "long", "random": False}) == Method(steps=99, random=False)
    assert things.dump(things.parse("long"))["name"] == "method"
    with pytest.raises(PlanError, match="did you mean long"):
        things.parse("lonk")


class Thing(Protocol):
    """What a method is."""


@dataclass(frozen=True)
class Chain:
    """A method made of methods."""

    links: tuple[Thing, ...] = ()
    first: Thing | None = None


def test_a_method_may_be_made_of_methods():
    things = Catalogue("thing", {"method": Method, "chain": Chain}, role=Thing)
    made = things.parse({"name": "chain", "links": ["method", {"name": "method", "steps": 3}], "first": {"name": "chain"}})
    assert made == Chain((Method(), Method(steps=3)), Chain())
    assert things.parse(things.dump(made)) == made


def test_parsing_leaves_the_words_as_they_were():
    words = {"name": "method", "steps": 3}
    THINGS.parse(words)
    assert words == {"name": "method", "steps": 3}


@pytest.mark.parametrize(
    "method",
    [
        Method(),
        Method(steps=3, size=(4, 5), eps=(0.1, 0.2), mode="last", random=False, inner=Inner(2, 0.25), inners=(Inner(1), Inner(2))),
        Method(extra={"a": [1, 2], "b": {"c": "d"}}),
        Other(),
    ],
)
def test_words_make_the_same_method_again(method):
    assert THINGS.parse(THINGS.dump(method)) == method


def test_what_is_none_is_left_out_of_the_words():
    assert "size" not in THINGS.dump(Method())
    assert dump(Inner(3)) == {"depth": 3, "share": 0.5}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("metod", "there is no thing named 'metod': did you mean method?"),
        ("zzz", "there is no thing named 'zzz': take one of method, other"),
        ({"steps": 3}, "expected the name of a thing"),
        ({"name": 3}, "expected the name of a thing"),
        ({"name": "method", "step": 3}, "thing method: there is no key named 'step': did you mean steps?"),
        ({"name": "method", "steps": 0}, "thing method: steps must be at least 1"),
    ],
)
def test_slips_in_names(words, told):
    with pytest.raises(PlanError, match=told.replace("?", r"\?")):
        THINGS.parse(words)


def test_a_package_can_offer_methods_but_not_replace_ours(monkeypatch):
    class Entry:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> type:
            return Inner

    offered = {"robustdx.things": [Entry("foreign"), Entry("other")]}
    monkeypatch.setattr("robustdx.catalogue.entry_points", lambda group: offered[group])
    things = Catalogue("thing", {"method": Method, "other": Other})
    assert things.parse({"name": "foreign", "depth": 2}) == Inner(2)
    assert things.parse("other") == Other()


# --- values ----------------------------------------------------------------------------------------------------------


def test_fractions_as_people_write_them():
    assert number("8/255") == 8 / 255
    assert number("0.5 / 255") == 0.5 / 255
    assert number(3) == 3.0
    assert number("1e-3") == 1e-3
    assert made(eps=["8/255", 1, 0.5]).eps == (8 / 255, 1.0, 0.5)


def test_a_single_value_stands_for_a_tuple_of_one():
    assert made(eps="8/255").eps == (8 / 255,)
    assert made(inners={"depth": 3}).inners == (Inner(3),)


def test_the_first_kind_that_fits_is_taken():
    assert made(size=3).size == 3
    assert made(size=[3, 4]).size == (3, 4)
    assert made(size=None).size is None


def test_tables_become_dataclasses():
    assert made(inner={"depth": 3, "share": "1/4"}).inner == Inner(3, 0.25)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"steps": "3"}, "plan: steps: expected a whole number, got '3'"),
        ({"steps": True}, "plan: steps: expected a whole number, got True"),
        ({"steps": 2.0}, "plan: steps: expected a whole number, got 2.0"),
        ({"random": 1}, "plan: random: expected true or false, got 1"),
        ({"name_of": 3}, "plan: name_of: expected text, got 3"),
        ({"mode": "first"}, "plan: mode: expected one of mean, last, got 'first'"),
        ({"eps": ["8/0"]}, "plan: eps: expected a number or a fraction like 8/255, got '8/0'"),
        ({"eps": [True]}, "plan: eps: expected a number or a fraction like 8/255, got True"),
        ({"eps": ["1/2/3"]}, "plan: eps: expected a number or a fraction like 8/255, got '1/2/3'"),
        ({"size": "big"}, "plan: size: expected a whole number, got 'big'"),
        ({"extra": [1]}, "plan: extra: expected a table, got [1]"),
        ({"inner": 3}, "plan: inner: expected a table of settings, got 3"),
        ({"inner": {"depht": 3}}, "plan: inner: there is no key named 'depht': did you mean depth?"),
        ({"inner": {}}, "plan: inner: expected the key depth, which is missing: How deep."),
        ({"inners": [{"depth": 1}, {}]}, "plan: inners: expected the key depth, which is missing: How deep."),
    ],
)
def test_slips_in_values(words, told):
    with pytest.raises(PlanError) as refusal:
        made(**words)
    assert str(refusal.value) == told


def test_a_plan_that_is_no_table():
    with pytest.raises(PlanError, match="plan: expected a table of settings, got 3"):
        build(Method, 3, where="plan")  # type: ignore[arg-type]


# --- words about words -----------------------------------------------------------------------------------------------


def test_the_string_under_a_field_is_its_documentation():
    texts = document(Method)
    assert list(texts) == ["steps", "size", "eps", "mode", "name_of", "random", "inner", "extra", "inners"]
    assert texts["steps"] == "How many."
    assert texts["size"] == "One number,\nor several."
    assert texts["mode"] == ""


def test_the_same_words_give_the_same_key_whatever_their_order():
    assert key({"a": 1, "b": [1, 2]}) == key({"b": [1, 2], "a": 1})
    assert key({"a": 1}) != key({"a": 2})
    assert len(key("x")) == 12


def test_sentences():
    assert unknown("attack", "pdg", {"pgd": 1, "fgsm": 2}) == "there is no attack named 'pdg': did you mean pgd?"
    assert (a("attack"), a("thing")) == ("an attack", "a thing")


def test_what_a_method_is_called_in_a_sentence():
    from robustdx.purifiers import PURIFIERS

    assert PURIFIERS.told(PURIFIERS.parse("median")) == "median"
    assert PURIFIERS.told(PURIFIERS.parse({"name": "mdda", "sigma": 0.05, "scales": [0.5, 1]})) == "mdda (scales = 0.5, 1, sigma = 0.05)"
    chain = {"name": "chain", "members": [{"name": "jpeg", "quality": 60}, {"name": "median"}]}
    assert "jpeg (quality = 60), median" in PURIFIERS.told(PURIFIERS.parse(chain))


def test_every_field_of_what_ships_is_documented():
    from robustdx.attacks import ATTACKS
    from robustdx.auditing.plan import AuditPlan
    from robustdx.data import SOURCES
    from robustdx.models import ModelSpec
    from robustdx.tasks import TASKS
    from robustdx.threats import THREATS
    from robustdx.training import OBJECTIVES
    from robustdx.training.plan import HardenPlan

    shipped = [cls for room in (ATTACKS, SOURCES, TASKS, THREATS, OBJECTIVES) for cls in room.own.values()]
    silent = [
        f"{cls.__name__}.{name}" for cls in (*shipped, AuditPlan, HardenPlan, ModelSpec) for name, text in document(cls).items() if not text
    ]
    assert silent == []
