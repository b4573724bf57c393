"""A folder of images with natural perturbations: `robustdx perturb`.

One image at a time, each at its own size or at one that is named. A file that is there is whole, so to go on is to make what is not there
yet. Each perturbation and severity has a folder of its own: `folder:OUT/images/hair/3` reads it where the images came from class folders.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from robustdx.auditing.files.attacked import png
from robustdx.auditing.files.incoming import Incoming, hash_of, kept, on_grid, shown, smallest
from robustdx.auditing.files.purified import briefly, changes, versions
from robustdx.auditing.natural.modality import modality_of
from robustdx.auditing.natural.words import believable
from robustdx.auditing.run import Progress
from robustdx.data import Example, Pixels
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError, RobustdxError
from robustdx.perturbations import PERTURBATIONS, SEVERITIES, Modality, Perturbation
from robustdx.perturbations.artefacts import ARTEFACTS
from robustdx.perturbations.corruptions import CORRUPTIONS
from robustdx.perturbations.protocol import require_modality, require_severity
from robustdx.store import Store
from robustdx.tensors import Images

COLUMNS = (
    *("id", "source", "image", "perturbation", "severity", "channels", "mean_change", "largest_change", "source_sha256", "pixels_sha256"),
)
"""What manifest.csv says of each image. Changes are those of the saved pixels, which lie in [0, 1]; the first hash is that of the file that
came, or of its pixels where there was none, the second that of the pixels that were saved (rows from the top, 8 bits a channel)."""
GROUPS: Mapping[str, Callable[[], Mapping[str, type]]] = {
    "all": lambda: PERTURBATIONS.methods,
    "corruptions": lambda: CORRUPTIONS,
    "artefacts": lambda: ARTEFACTS,
}
"""Words for several at once: of each, what is believable on a modality."""


@dataclass(frozen=True)
class Perturbing:
    """Images and what happens to them, loaded and checked; nothing has run yet."""

    incoming: Incoming
    perturbations: tuple[Perturbation, ...]
    severities: tuple[int, ...]
    seed: int = 0
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        source: str,
        perturbations: Sequence[Mapping[str, Any]],
        *,
        severities: Sequence[int] = SEVERITIES,
        modality: str | None = None,
        seed: int = 0,
        device: str = "cpu",
        **more: Any,
    ) -> Perturbing:
        """Load what the words name. Further words are those of `Incoming.of`.

        Raises:
            PlanError, DataError: what does not exist, or does not fit.
        """
        methods = chosen(perturbations, require_modality(modality) or modality_of(source))
        for severity in severities:
            require_severity(severity)
        if len(set(severities)) < len(severities) or not severities:
            raise PlanError(f"expected different severities from 1 to 5, got {', '.join(map(str, severities)) or 'none'}: name each once")
        return cls(Incoming.of(source, seed=seed, **more), methods, tuple(sorted(severities)), seed, device)

    def words(self) -> dict[str, Any]:
        """What the folder belongs to: settings, and the images as they were named when it began."""
        given = self.incoming
        said = {"made": "perturbed images", "data": given.source, "perturbations": [PERTURBATIONS.dump(p) for p in self.perturbations]}
        how = {"severities": list(self.severities), "seed": self.seed, "channels": given.channels, "size": given.size and list(given.size)}
        return {**said, **how, "images_key": given.key()}

    @cached_property
    def steps(self) -> list[tuple[Perturbation, str, int]]:
        """Each perturbation at each severity, with how it is called."""
        return [(p, called(p), severity) for p in self.perturbations for severity in self.severities]

    def files(self, own: str) -> list[str]:
        """Where what is made of one image goes, in the order of `steps`."""
        below = PurePosixPath(own).relative_to("images")
        return [str(PurePosixPath("images", name, str(severity), below)) for _, name, severity in self.steps]

    @property
    def count(self) -> int:
        """How many images are made."""
        return len(self.steps) * len(self.incoming.data)

    def missing(self, store: Store) -> int:
        """How many images are not there yet."""
        return sum(not (store.path / file).is_file() for name in self.incoming.names for file in self.files(name))

    def require_apart(self, out: Path) -> None:
        """Refuse a folder among the images that come in, or one that holds them."""
        self.incoming.require_apart(out, "perturbed")

    def read(self, progress: Progress) -> None:
        """Read every image once, and try each perturbation on the smallest size, so that a refusal comes before the work.

        Raises:
            ImageError: the first image that cannot be read, or a size that a perturbation does not take.
        """
        shape, example = smallest(self.incoming.shapes(progress))
        for method in self.perturbations:
            self.perturbed(example, np.full(shape, 128, dtype=np.uint8), method, self.severities[-1])

    def run(self, store: Store, progress: Progress) -> None:
        """Make what is not there yet, then the manifest."""
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for n, row in enumerate(self._rows(store), start=1):
            writer.writerow(row)
            progress("perturbing", n, self.count)
        store.write_text("manifest.csv", file.getvalue())

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        for example, own in zip(self.incoming.data.examples, self.incoming.names, strict=True):
            before = self.incoming.pixels(example)
            about = {"id": example.id, "source": example.file, "channels": before.shape[2], "source_sha256": hash_of(example, before)}
            for (method, name, severity), file in zip(self.steps, self.files(own), strict=True):
                after = kept(store.path / file, before.shape)
                if after is None:
                    made = self.perturbed(example, before, method, severity)
                    store.write_bytes(file, png(made[0], example))
                    after = on_grid(made[0])
                what = {"image": file, "perturbation": name, "severity": severity, "pixels_sha256": sha256(after.tobytes()).hexdigest()}
                yield {**about, **what, **changes(before, after)}

    @torch.no_grad()
    def perturbed(self, example: Example, pixels: Pixels, method: Perturbation, severity: int) -> Images:
        """What an audit would show its model of this image, but for rounding."""
        name = PERTURBATIONS.name(method)
        # The severity is not forked into the draws: a hair lies where it lay, and only grows darker.
        draws = Draws(self.seed, (example.id,)).fork("perturbation", name)
        try:
            return method(shown(pixels, self.device), severity, draws).clamp(0, 1)
        except RobustdxError as refusal:
            raise ImageError(f"{example.file or example.id}: {refusal}") from None
        except (RuntimeError, ValueError, IndexError) as error:
            size, reason = "x".join(map(str, pixels.shape[:2])), str(error).strip().split("\n")[0][:160]
            raise ImageError(f"{example.file or example.id}: {name} does not take images of {size}: {reason}") from error

    def facts(self, command: str) -> dict[str, Any]:
        """How it was run (run.json)."""
        return {"command": command, **self.words(), "device": self.device, "images": self.count, "versions": versions()}


def chosen(words: Sequence[Mapping[str, Any]], modality: Modality | None) -> tuple[Perturbation, ...]:
    """The perturbations that are asked for. One that is not believable on the modality is made all the same, and a warning says so.

    Raises:
        PlanError: none, one twice, or one that does not exist.
    """
    if not words:
        raise PlanError("expected a perturbation, got none: name one, such as gaussian_noise; `robustdx list perturbations` shows all")
    methods: list[Perturbation] = []
    for each in words:
        if each.get("name") not in GROUPS:
            methods.append(PERTURBATIONS.parse(each))
            continue
        if modality is None:
            can = "give --modality dermoscopy, x-ray, fundus, ct or mr"
            raise PlanError(f"{each['name']} means those that are believable on a modality, and the data do not say theirs: {can}")
        methods += [cls() for name, cls in PERTURBATIONS.methods.items() if name in GROUPS[each["name"]]() and believable(cls, modality)]
    names = [briefly(PERTURBATIONS.dump(m)) for m in methods]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise PlanError(f"expected each perturbation once, got {twice} twice: name it once, or with other settings")
    for method in methods:
        if modality is not None and not believable(method, modality):
            name = PERTURBATIONS.name(method)
            usual = " and ".join(method.modalities)
            warnings.warn(f"{name} happens to {usual}, hardly to {modality}: it is made all the same", stacklevel=2)
    return tuple(methods)


def called(method: Perturbation) -> str:
    """A perturbation as it is named on the command line: its name and the settings that are not its defaults."""
    usual = {f.name: f.default for f in fields(method)}  # type: ignore[arg-type]
    return briefly({k: v for k, v in PERTURBATIONS.dump(method).items() if k == "name" or getattr(method, k) != usual[k]})
