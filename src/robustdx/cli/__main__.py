"""python -m robustdx.cli: the same as the robustdx command."""

from robustdx.cli import main

main()
