#!/usr/bin/env bash
# PGD swept over eps and iterations, GAP over lambda, on the three victims of Xu et al., and the claims answered: reproduce/xu/results.md.
#
#   reproduce/xu/run.sh ISIC2017 FUNDUS CHESTS [RUNS]
#
# ISIC2017 is the folder of the challenge. FUNDUS and CHESTS are folders with a table: index.csv (id_code, diagnosis, patient) and
# train_images/; multilabel.csv (image, patient, a column for each finding) and images/. About four hours of one core. Stopped at any
# moment, the same command goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
isic="isic2017:$(realpath "$1")" fundus=$(realpath "$2") chests=$(realpath "$3")
runs=$(realpath -m "${4:-runs/xu}")
python=${PYTHON:-python3} robustdx=${ROBUSTDX:-robustdx}
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"

"$python" -m reproduce.halves "$fundus/index.csv" "$runs/fundus.csv" --patient patient --label diagnosis
"$python" -m reproduce.halves "$chests/multilabel.csv" "$runs/chests.csv" --patient patient --label Effusion
fundus="csv:$runs/fundus.csv,image=id_code,label=diagnosis,images=$fundus/train_images"
chests="csv:$runs/chests.csv,images=$chests/images"

victim() { # NAME DATA EPOCHS (of the generators, over 400 images)
  "$robustdx" harden "$here/$1.toml" --data "$2" --out "$runs/$1"
  "$python" -m reproduce.xu.sweep --model "$runs/$1" --data "$2" --out "$runs/$1-sweep" --epochs "$3"
}
victim chexnet "$chests" 20
victim inception "$fundus" 20
victim attnmel "$isic" 10 # three times as slow as the others
"$python" -m reproduce.xu.claims AttnMel="$runs/attnmel-sweep" Inception-v3="$runs/inception-sweep" CheXNet="$runs/chexnet-sweep" > "$here/results.md"
echo "The tables and answers are in $here/results.md"
