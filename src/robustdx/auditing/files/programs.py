"""A purifier and its network as one file that runs without robustdx: ONNX, or a program of torch.export."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustdx.auditing.files.constants import Constant
from robustdx.errors import MissingExtra, ModelError, PlanError, RobustdxError
from robustdx.models import Defended, DiagnosticModel, still
from robustdx.purifiers import PURIFIERS
from robustdx.store import refusing_disk_errors, replace_with
from robustdx.tasks import TASKS
from robustdx.tensors import Images

CLOSE = 1e-4
"""How far the file's logits may lie from the model's, next to the largest of them where that is above 1."""
LONG = 1000
"""Operations from which on an ONNX file is written as it comes: to tidy it takes minutes, and what runs it does that again."""
ERRORS_ONLY = 3
"""ONNX Runtime's word for it."""
FACTS = "robustdx.json"
"""Where a program keeps what is said about it; in an ONNX file it is the property `robustdx`."""


@dataclass(frozen=True)
class Deployed:
    """A file that was written and found to answer as the model does."""

    path: Path
    batch: int | None
    """Images that it takes at a time; None: any number."""
    difference: float
    """The largest difference between its logits and the model's, over the images that it was tried on."""
    facts: dict[str, Any]
    """What the file says about itself: classes, task, input, purifier, draws."""


def export_onnx(
    model: DiagnosticModel, path: str | Path, *, size: tuple[int, int] | None = None, seed: int = 0, fixed_draws: bool = False
) -> Deployed:
    """Write a model, with its purifier where it is `Defended`, as one ONNX file: pixels (B, C, H, W) in [0, 1] in, logits out.

    Steps and iterations are unrolled as the settings have them. The written file is run by ONNX Runtime on a few images beside the model;
    one that answers otherwise is not kept. `size` is that of the images, the network's own where left out.

    A purifier that draws is refused, unless `fixed_draws`: then what one image draws from `seed` is written into the file as a constant,
    the same for every image and known to whoever has the file. What an audit says of fresh draws is not said of that file.

    Raises:
        PlanError: draws without `fixed_draws`, a size that is not known, or a network that ends in probabilities.
        ModelError: something in it cannot be written down as tensor operations, or the file answers otherwise.
        MissingExtra: onnx, onnxscript or onnxruntime is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingExtra(package, "export", "writing ONNX")
    return _written(model, Path(path), size, seed, fixed_draws, _save_onnx, _open_onnx)


def export_program(
    model: DiagnosticModel, path: str | Path, *, size: tuple[int, int] | None = None, seed: int = 0, fixed_draws: bool = False
) -> Deployed:
    """The same as a program of torch.export (.pt2), which `torch.export.load(path).module()` runs, and `--model FILE.pt2` audits.

    Raises:
        PlanError, ModelError: as `export_onnx`.
    """
    return _written(model, Path(path), size, seed, fixed_draws, _save_program, _open_program)


Save = Callable[[torch.export.ExportedProgram, Path, dict[str, Any]], None]
Open = Callable[[Path], Callable[[Images], Tensor]]


def _written(
    model: DiagnosticModel, path: Path, size: tuple[int, int] | None, seed: int, fixed_draws: bool, save: Save, opened: Open
) -> Deployed:
    x = _tried(model, size or model.size)
    with still(model), _quiet(), torch.no_grad():
        constant = Constant(model, x, seed).eval()
        if constant.names and not fixed_draws:
            raise PlanError(
                f"{_purifier(model) or 'the model'} draws at random, and a file would hold one draw, the same for every image and known to "
                "whoever has the file: allow that with fixed draws (--fixed-draws), or take a purifier that draws nothing"
            )
        program, batch = _traced(constant, x)
        facts = {**_facts(model, x, batch), "fixed_draws": seed if constant.names else None}
        found = []

        def fill(beside: Path) -> None:
            _tell_failure(lambda: save(program, beside, facts))
            found.append(_difference(constant, x, batch, opened(beside)))

        with refusing_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_with(path, fill)
    return Deployed(path, batch, found[0], facts)


def _tried(model: DiagnosticModel, size: tuple[int, int] | None) -> Images:
    """Three images that a file is tried on: noise, darker noise, and a slope of grey."""
    if size is None:
        raise PlanError("the size of the images is not known: give size = (height, width)")
    if getattr(model, "outputs", "logits") == "probabilities":
        raise PlanError("expected a network that ends in logits, got one that ends in probabilities: leave out its last activation")
    x = torch.rand((3, model.channels, *size), generator=torch.Generator().manual_seed(0))
    x[1] **= 4
    x[2] = torch.linspace(0.1, 0.9, size[1]).expand_as(x[2])
    return x.to(model.mean.device)


def _traced(constant: Constant, x: Images) -> tuple[torch.export.ExportedProgram, int | None]:
    """The program for any number of images, or for one at a time where something in it counts them."""
    try:
        return torch.export.export(constant, (x[:2],), dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}}, strict=False), None
    except Exception as error:
        logging.getLogger(__name__).info("not for any number of images: %s", error)
    return _tell_failure(lambda: torch.export.export(constant, (x[:1],), strict=False)), 1


def _tell_failure(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (RobustdxError, OSError):
        raise
    except Exception as error:  # the tracers raise almost anything
        raise ModelError(
            f"this model cannot be written as a program of tensor operations ({_line(error)}): something in it computes outside torch, or "
            "depends on values; take a purifier in plain torch (jpeg-differentiable for jpeg), or export the network alone"
        ) from error


def _difference(constant: Constant, x: Images, batch: int | None, run: Callable[[Images], Tensor]) -> float:
    """How far the file's answers lie from the model's.

    Raises:
        ModelError: further than `CLOSE`.
    """
    expected = constant.expected(x).cpu()
    got = torch.cat([run(part) for part in x.split(batch or len(x))])
    found, most = float((got - expected).abs().max()), CLOSE * max(1.0, float(expected.abs().max()))
    if not found <= most:
        raise ModelError(
            f"the exported file answers otherwise than the model: its logits differ by up to {found:.3g}, allowed are {most:.3g}; no file "
            "was written: something in the model was taken for a constant, or is another operation in the file"
        )
    return found


def _save_program(program: torch.export.ExportedProgram, path: Path, facts: dict[str, Any]) -> None:
    with path.open("wb") as file:  # a name that does not end in .pt2 would be complained of
        torch.export.save(program, file, extra_files={FACTS: json.dumps(facts)})


def _open_program(path: Path) -> Callable[[Images], Tensor]:
    with path.open("rb") as file:
        module = torch.export.load(file).module()
    return lambda x: module(x).cpu()


def _save_onnx(program: torch.export.ExportedProgram, path: Path, facts: dict[str, Any]) -> None:
    short = len(program.graph.nodes) < LONG
    made = torch.onnx.export(program, dynamo=True, verbose=False, optimize=short, output_names=["logits"])
    assert made is not None
    made.model.metadata_props["robustdx"] = json.dumps(facts)
    made.save(path, external_data=False)


def _open_onnx(path: Path) -> Callable[[Images], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"pixels": np.ascontiguousarray(x.cpu().numpy())})[0])


def _facts(model: DiagnosticModel, x: Images, batch: int | None) -> dict[str, Any]:
    return {
        "robustdx": version("robustdx"),
        "task": TASKS.name(model.task),
        "classes": list(model.task.classes),
        "input": {"name": "pixels", "shape": [batch or "batch", *x.shape[1:]], "range": [0, 1]},
        "output": "logits",
        "purifier": _purifier(model),
    }


def _purifier(model: DiagnosticModel) -> Any:
    """The purifier in words that make it again, or as it calls itself; None where there is none."""
    if not isinstance(model, Defended):
        return None
    known = type(model.purifier) in PURIFIERS.methods.values()
    return PURIFIERS.dump(model.purifier) if known else repr(model.purifier)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch tells the programmers of exporters."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # a trace that fails prints its graph
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:160] or type(error).__name__
