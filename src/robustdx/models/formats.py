"""What a file is, told from its content: names lie, and `.pt` is used for three different things."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from robustdx.errors import ModelError, WeightsError

Format = Literal["safetensors", "state", "torchscript", "program"]

PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How a file begins that torch.save wrote before version 1.6."""


def format_of(path: Path) -> Format:
    """Whether a file holds weights, or a network that is code as well; nothing in it is executed.

    Raises:
        ModelError: no such file.
        WeightsError: the file is cut short, or none of these.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}: check the path") from None
    if head.startswith(b"PK"):
        return _archive(path)
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(PICKLES):
        return "state"
    raise WeightsError(
        f"{path} is not a checkpoint (expected safetensors or a file of torch.save, it begins with {head[:8]!r}): check the file"
    )


def _archive(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = ["/" + name for name in archive.namelist()]
    except zipfile.BadZipFile:
        raise WeightsError(f"{path} is cut short or damaged: copy or download it again") from None
    if any(n.endswith(("/archive_format", "/serialized_exported_program.json")) for n in names):
        return "program"
    if any(n.endswith("/constants.pkl") for n in names) and any("/code/" in n for n in names):
        return "torchscript"
    if any(n.endswith("/data.pkl") for n in names):
        return "state"
    raise WeightsError(
        f"{path} is a zip archive without weights (it holds {names[0][1:] if names else 'nothing'}): give the checkpoint inside it"
    )
