#!/usr/bin/env bash
# SMIA beside FGSM, BIM, PGD and MI at equal passes on three modalities, and the two claims answered: reproduce/smia/results.md.
#
#   reproduce/smia/run.sh HAM10000 FUNDUS CT MODEL [RUNS]
#
# HAM10000 is the folder in its published layout with split_by_lesion.csv, MODEL a network trained on it (the run `standard` of
# reproduce/ham10000). FUNDUS and CT are folders with an index.csv: columns id_code, diagnosis, patient and train_images/; file, label,
# block and a folder for each label. Stopped at any moment, the same command goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ham="ham10000:$1,split=split_by_lesion.csv" fundus=$(realpath "$2") ct=$(realpath "$3") model=$4
runs=$(realpath -m "${5:-runs/smia}")
python=${PYTHON:-python3} robustdx=${ROBUSTDX:-robustdx}
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"

"$python" -m reproduce.halves "$fundus/index.csv" "$runs/fundus.csv" --patient patient --label diagnosis
"$python" -m reproduce.halves "$ct/index.csv" "$runs/ct.csv" --patient block --label label
fundus="csv:$runs/fundus.csv,image=id_code,label=diagnosis,images=$fundus/train_images"
ct="csv:$runs/ct.csv,image=file,label=label,patient=block,images=$ct"

"$robustdx" harden "$here/fundus.toml" --data "$fundus" --out "$runs/fundus"
"$robustdx" harden "$here/ct.toml" --data "$ct" --out "$runs/ct"
compare() { "$python" -m reproduce.smia.compare --rows "$runs/rows.jsonl" "$@"; }
compare --name fundus --model "$runs/fundus" --data "$fundus" --images 120 --eps 0.5,1,2,4,8
compare --name CT --model "$runs/ct" --data "$ct" --images 90 --eps 0.5,1,2,4,8
compare --name HAM10000 --model "$model" --data "$ham" --images 80
"$python" -m reproduce.smia.claims "$runs/rows.jsonl" > "$here/results.md"
echo "The tables and answers are in $here/results.md"
