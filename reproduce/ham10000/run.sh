#!/usr/bin/env bash
# One command from the images to the table: train three networks on the training lesions, choose on the validation lesions,
# audit once on the test lesions.
#
#   reproduce/ham10000/run.sh PATH [RUNS]
#
# PATH holds HAM10000 in its published layout and split_by_lesion.csv (columns image, split); RUNS is where the runs go
# (default runs/ham10000). Took 110 minutes of training and 176 of auditing with one busy core each; stopped at any moment, the same command goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data="ham10000:$1,split=split_by_lesion.csv"
runs=${2:-runs/ham10000}
robustdx=${ROBUSTDX:-robustdx}

for name in standard madry cnn; do
  "$robustdx" harden "$here/$name.toml" --data "$data" --out "$runs/$name"
  "$robustdx" audit "$here/audit.toml" --model "$runs/$name" --data "$data" --out "$runs/$name-audit"
done
"${PYTHON:-python3}" "$here/table.py" "$runs"
