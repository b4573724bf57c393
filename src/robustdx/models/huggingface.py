"""A local Hugging Face folder: transformers' image classifiers and timm's. Nothing is fetched and no code of it is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from robustdx.errors import MissingExtra, ModelError, WeightsError
from robustdx.models import weights
from robustdx.models.spec import Config, Source
from robustdx.models.zoo import timm_config, timm_network

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"


def from_folder(folder: Path, size: tuple[int, int] | None, channels: int) -> Source:
    """The network in a folder with its weights, size, normalisation and class names."""
    facts = read_json(folder / CONFIG)
    source = from_config(facts, size, channels)
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise WeightsError(
            f"expected model.safetensors (or pytorch_model.bin) in {folder}, found none: save the model with save_pretrained"
        )
    if _is_timm(facts):
        return replace(source, weights=files[0])
    seen = pixels(read_json(folder / PREPROCESSOR)) if (folder / PREPROCESSOR).is_file() else Config()
    config = replace(source.config, size=seen.size or source.config.size, mean=seen.mean, std=seen.std)
    return Source(config, source.build, open=lambda outputs: _opened(folder, files))


def from_config(facts: Mapping[str, Any], size: tuple[int, int] | None, channels: int) -> Source:
    """The same network with fresh weights, from what its `config.json` says."""
    if _is_timm(facts):
        own = timm_config({**facts, **facts.get("pretrained_cfg", {}), "label_names": facts.get("label_names")})
        made = timm_network(str(facts["architecture"]), size or own.size, channels, facts.get("model_args"))
        return replace(made, config=own)
    if "model_type" not in facts:
        raise ModelError(
            f"{CONFIG} names neither a model_type (transformers) nor an architecture (timm): give the folder that save_pretrained wrote"
        )
    return Source(
        Config(size=_pair(facts.get("image_size")), classes=_class_names(facts.get("id2label"))), lambda outputs: _fresh(facts, outputs)
    )


def pixels(facts: Mapping[str, Any]) -> Config:
    """Size, mean and std as `preprocessor_config.json` has them, for pixels in [0, 1]."""
    size = facts.get("crop_size") if facts.get("do_center_crop") and facts.get("crop_size") else facts.get("size")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if facts.get("do_normalize", True) and facts.get("image_mean") and facts.get("image_std"):
        mean, std = tuple(facts["image_mean"]), tuple(facts["image_std"])
    scale = float(facts.get("rescale_factor", 1 / 255)) * 255 if facts.get("do_rescale", True) else 255.0
    return Config(size=_pair(size), mean=tuple(m / scale for m in mean), std=tuple(s / scale for s in std))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file (ModelError where it is none)."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        facts = None
    if not isinstance(facts, dict):
        raise ModelError(f"{path} cannot be read as JSON: copy the folder again")
    return facts


def _opened(folder: Path, files: list[Path]) -> nn.Module:
    for file in files:
        weights.read(file)
    with _refusing(folder):
        made, told = _transformers().AutoModelForImageClassification.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=files[0].suffix == ".safetensors",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    weights.require_names(sorted(told["missing_keys"]), sorted(told["unexpected_keys"]), str(folder))
    shapes = {str(key): (tuple(wanted), tuple(found)) for key, found, wanted in told["mismatched_keys"]}
    weights.require_shapes(shapes, str(folder))
    return made


def _fresh(facts: Mapping[str, Any], outputs: int) -> nn.Module:
    package = _transformers()
    given = {key: value for key, value in facts.items() if key not in ("model_type", "id2label", "label2id", "auto_map")}
    with _refusing(CONFIG):
        config = package.AutoConfig.for_model(facts["model_type"], **given, num_labels=outputs)
        return package.AutoModelForImageClassification.from_config(config, trust_remote_code=False)


@contextmanager
def _refusing(what: Path | str) -> Iterator[None]:
    """Turn what transformers refuses into a sentence."""
    try:
        yield
    except (ValueError, KeyError, OSError, RuntimeError, TypeError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(
            f"transformers cannot make the image classifier of {what} ({reason}): code that comes with a folder is never run; "
            "give a type that transformers itself knows"
        ) from error


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingExtra("transformers", "huggingface", "reading a Hugging Face folder") from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _is_timm(facts: Mapping[str, Any]) -> bool:
    return "architecture" in facts and "model_type" not in facts


def _class_names(names: Mapping[str, str] | None) -> tuple[str, ...] | None:
    """The names of the outputs in order; LABEL_0, LABEL_1 ... are no names."""
    ordered = [str(names[key]) for key in sorted(names, key=int)] if names else []
    return None if all(re.fullmatch(r"LABEL_\d+", name) for name in ordered) else tuple(ordered)


def _pair(size: Any) -> tuple[int, int] | None:
    """(height, width) from the ways in which sizes are written."""
    if isinstance(size, Mapping):
        size = (size.get("height", size.get("shortest_edge")), size.get("width", size.get("shortest_edge")))
    if isinstance(size, int):
        return size, size
    return (int(size[0]), int(size[1])) if size and None not in tuple(size) else None
