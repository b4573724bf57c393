"""A recipe chooses how to train, for the user who names a network, images, a threat and a budget; and says why."""

from robustdx.training.recipe import kept
from robustdx.training.recipe.auto import Auto, Recipe
from robustdx.training.recipe.budget import Budget, read_budget
from robustdx.training.recipe.choice import Choice

__all__ = ["Auto", "Budget", "Choice", "Recipe", "kept", "read_budget"]
