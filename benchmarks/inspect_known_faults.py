"""Does `robustdx inspect` find what is known to be wrong in real sets? Recall and false alarms against their answer keys.

    python benchmarks/inspect_known_faults.py FOLDER [SET ...]

FOLDER holds the sets named in `SETS`, each with the answer key that `robustdx inspect` never reads.

A key pair is two images that the key puts in one group. An exact key pair has the same bytes (hashed here again); the
others are near. A pair counts as found if both images end in one group of copies. A false alarm is a pair found whose
images the key keeps apart and that, looked at, is not one picture: `SEEN` names those looked at that are. Its rate is
the images in false alarms over the images of the set.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from robustdx.data import Dataset, load_dataset
from robustdx.data.inspection.inspect import Inspection, inspect

Key = dict[str, str]
"""Path of an image below the folder of the set -> its group."""


@dataclass(frozen=True)
class Known:
    """One set, how it is loaded and what is known about it."""

    source: str
    key: Callable[[Path], Key]
    by_patient: bool = False
    """Whether a group is a patient, of whom most images are no copies: then near recall means nothing."""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ham10000(root: Path) -> Key:
    return {f"ISIC2018_Task3_Training_Input/{r['image_id']}.jpg": r["lesion_id"] for r in rows(root / "HAM10000_metadata.csv")}


def isic2017(root: Path) -> Key:
    return {f"ISIC-2017_{r['split']}_Data/{r['image']}.jpg": r["group"] for r in rows(root / "index.csv")}


def isic9(root: Path) -> Key:
    return {f"{r['split']}/{r['kaggle_class']}/{r['file']}": r["group"] for r in rows(root / "answer_key.csv")}


def chest(root: Path) -> Key:
    return {f"chest_xray/{r['split']}/{r['label']}/{r['file']}": r["patient_group"] for r in rows(root / "index.csv")}


def chest14(root: Path) -> Key:
    return {f"images/{r['image']}": r["patient"] for r in rows(root / "multilabel.csv")}


def fundus(root: Path) -> Key:
    twins = {"Patient299", "Patient300"}
    about = rows(root / "index.csv")
    return {f"train_images/{r['id_code']}.jpg": f"twins {r['eye']}" if r["patient"] in twins else r["id_code"] for r in about}


def ct(root: Path) -> Key:
    return {f"{r['label']}/{r['file']}": r["block"] for r in rows(root / "index.csv")}


SETS = {
    "derm_ham10000_200x150": Known("ham10000:{},split=split_naive_by_image_LEAKY.csv", ham10000, by_patient=True),
    "derm_isic2017_256": Known("isic2017:{}", isic2017),
    "derm_isic9_kaggle_180": Known("folder:{}", isic9),
    "cxr_pneumonia_224": Known(r"folder:{}/chest_xray,patient=(person\d+|IM-\d+)", chest, by_patient=True),
    "cxr14_multilabel_64": Known("csv:{}/multilabel.csv,images=images", chest14, by_patient=True),
    "fundus_dr_grading_480": Known("csv:{}/train.csv,images=train_images,image=id_code,label=diagnosis", fundus),
    "ct_sarscov2_256": Known("folder:{}", ct, by_patient=True),
}

_SEEN = {
    "derm_ham10000_200x150": """
        ISIC_0024774 ISIC_0027559
        ISIC_0024408 ISIC_0027737
        ISIC_0024877 ISIC_0029518
        ISIC_0025281 ISIC_0026904
        ISIC_0025484 ISIC_0028925
        ISIC_0026560 ISIC_0031838
        ISIC_0027027 ISIC_0029036
        ISIC_0027689 ISIC_0032647
        ISIC_0027820 ISIC_0028209
        ISIC_0027820 ISIC_0030835
        ISIC_0028014 ISIC_0032102
        ISIC_0028209 ISIC_0030835
        ISIC_0029152 ISIC_0033173
        ISIC_0034228 ISIC_0034248
    """,
    "derm_isic2017_256": """
        ISIC_0000157 ISIC_0014946
        ISIC_0000171 ISIC_0015124
        ISIC_0000182 ISIC_0015395
        ISIC_0000185 ISIC_0015155
        ISIC_0000186 ISIC_0014698
        ISIC_0000193 ISIC_0015436
        ISIC_0000196 ISIC_0014957
        ISIC_0000198 ISIC_0014667
        ISIC_0000206 ISIC_0014739
        ISIC_0000212 ISIC_0014927
        ISIC_0000213 ISIC_0015201
        ISIC_0000215 ISIC_0015313
        ISIC_0000218 ISIC_0015241
        ISIC_0000223 ISIC_0014818
        ISIC_0000224 ISIC_0014791
        ISIC_0000225 ISIC_0014778
        ISIC_0013109 ISIC_0013163
        ISIC_0015986 ISIC_0015987
    """,
    "derm_isic9_kaggle_180": """
        ISIC_0000395 ISIC_0010923
        ISIC_0001151 ISIC_0010977
        ISIC_0001157 ISIC_0011161
        ISIC_0011750 ISIC_0011751
        ISIC_0024408 ISIC_0027737
    """,
    "fundus_dr_grading_480": """
        Patient067_L Patient237_L
        Patient067_R Patient237_R
    """,
}
"""Pairs that the key keeps apart, looked at one by one and found to show one picture (the same retina, for the fundus set).

The CT set has no patients in its key, only runs of sixty file numbers; the pairs found there across runs show one slice of one
scan, filed twice, and count as false alarms here all the same."""

SEEN = {name: {frozenset(line.split()) for line in text.strip().splitlines()} for name, text in _SEEN.items()}


def found_pairs(found: Inspection, root: Path) -> set[frozenset[str]]:
    names = [Path(e.file).relative_to(root).as_posix() for e in found.dataset.examples]
    return {frozenset((names[a], names[b])) for group in found.copies for a, b in combinations(group, 2)}


def pairs_of(groups: Iterable[Iterable[str]]) -> set[frozenset[str]]:
    return {frozenset(pair) for group in groups for pair in combinations(sorted(group), 2)}


def grouped(names: dict[str, str]) -> list[list[str]]:
    groups = defaultdict(list)
    for name, group in names.items():
        groups[group].append(name)
    return [g for g in groups.values() if len(g) > 1]


def share(found: set, wanted: set) -> str:
    return f"{len(found & wanted)}/{len(wanted)}" + (f" = {len(found & wanted) / len(wanted):.3f}" if wanted else "")


def names_of(pair: frozenset[str]) -> frozenset[str]:
    return frozenset(Path(name).stem for name in pair)


def check(name: str, known: Known, folder: Path) -> None:
    root = folder / name
    key = known.key(root)
    dataset: Dataset = load_dataset(known.source.format(root))
    wall, cpu = time.perf_counter(), time.process_time()
    found = inspect(dataset)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pairs = found_pairs(found, root)
    same_bytes = pairs_of(grouped({n: hashlib.md5((root / n).read_bytes()).hexdigest() for n in key}))
    near = pairs_of(grouped(key)) - same_bytes
    outside = pairs - near - same_bytes
    alarms = {pair for pair in outside if names_of(pair) not in SEEN.get(name, set())}
    images = {image for pair in alarms for image in pair}
    print(f"\n{name}: {len(dataset)} images, {wall:.0f} s, {cpu:.0f} s of CPU")
    print(f"  exact pairs found        {share(pairs, same_bytes)}")
    print(f"  near pairs of the key    {share(pairs, near)}{'  (a group is a patient or lesion)' if known.by_patient else ''}")
    print(f"  found outside the key    {len(outside)}, of which looked at and one picture: {len(outside) - len(alarms)}")
    print(f"  false alarms             {len(images)} images = {len(images) / len(dataset):.4f} of the set")
    for split in [s for s in dataset.splits if s != "train"]:
        print(f"  {split} images also in train: { ({why: len(at) for why, at in found.leaks(split).items()}) }")
    print(f"  cut groups {len(found.cut)}, groups of copies across splits {len(found.across_splits)}, across labels {len(found.conflicts)}")
    for pair in sorted(map(sorted, alarms)):
        print("    outside:", *pair)
    if not known.by_patient:
        for pair in sorted(map(sorted, near - pairs)):
            print("    missed: ", *pair)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    arguments = parser.parse_args()
    for name in arguments.sets:
        check(name, SETS[name], arguments.folder.resolve())
