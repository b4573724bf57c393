#!/usr/bin/env bash
# A plain CNN trained four ways, each clean and under FGSM and PGD; claims A1 and A2 answered: reproduce/jogani/results.md.
#
#   reproduce/jogani/run.sh HAM10000 [RUNS]
#
# HAM10000 is the folder in its published layout, with split_by_lesion.csv (columns image, split). RUNS is where the runs go (default
# runs/jogani). Stopped at any moment, the same command goes on. About an hour on one core.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data="ham10000:$(realpath "$1"),split=split_by_lesion.csv" runs=$(realpath -m "${2:-runs/jogani}")
robustdx=${ROBUSTDX:-robustdx} python=${PYTHON:-python3}
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"

for name in standard at-fgsm at-pgd at-mixed; do
  $robustdx harden "$here/cnn.toml" --objective "$name" --data "$data" --no-audit --out "$runs/$name"
  $robustdx audit "$here/audit.toml" --model "$runs/$name" --data "$data" --out "$runs/$name-audit"
done
"$python" -m reproduce.jogani.claims "$runs" > "${OUT:-$here/results.md}"
echo "The table and the answers are in ${OUT:-$here/results.md}"
