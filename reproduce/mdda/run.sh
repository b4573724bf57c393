#!/usr/bin/env bash
# MDDA beside its rivals, taken apart, and before an adversary who knows it; three claims answered: reproduce/mdda/results.md.
#
#   reproduce/mdda/run.sh HAM10000 [RUNS]
#
# HAM10000 is the folder in its published layout, with ISIC_2019_Training_GroundTruth.csv (which tells AK from SCC) and
# split_by_lesion.csv (columns image, split). RUNS is where the runs go (default runs/mdda). Stopped at any moment, the same command goes
# on. VAL, TEST and FEW are the most images of a class for tuning, comparing and the escalation; OUT the page that is written.
# With half of two busy cores it took 37 minutes of training, 7 for the denoiser, 40 for attacks, tuning, comparing and taking apart, and 1
# to 11 for each escalation, of which 7 of 12 were reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ham="ham10000:$(realpath "$1"),split=" runs=$(realpath -m "${2:-runs/mdda}")
python=${PYTHON:-python3} robustdx=${ROBUSTDX:-robustdx}
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"

for name in resnet regnet robust; do
  $robustdx harden "$here/$name.toml" --data "${ham}split_by_lesion.csv,labels=isic2019" --out "$runs/$name"
done
chosen() { "$python" -m reproduce.mdda.chosen "${ham}split_by_lesion.csv,labels=isic2019" "$@"; }
chosen "$runs/chosen.csv" --val "${VAL:-30}" --test "${TEST:-120}"
chosen "$runs/few.csv" --val "${VAL:-30}" --test "${FEW:-10}"
compare() { "$python" -m reproduce.mdda.compare --data "$ham$runs/chosen.csv,labels=isic2019" --runs "$runs" "$@"; }
"$python" -m reproduce.mdda.learn --data "${ham}split_by_lesion.csv,labels=isic2019" --runs "$runs" --epochs "${EPOCHS:-6}"
compare
compare --ablate
"$python" -m reproduce.mdda.escalate --data "$ham$runs/few.csv,labels=isic2019" --runs "$runs"
"$python" -m reproduce.mdda.claims "$runs" > "${OUT:-$here/results.md}"
echo "The tables and answers are in ${OUT:-$here/results.md}"
