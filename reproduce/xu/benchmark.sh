#!/usr/bin/env bash
# Flip probability on the Robust-Benchmark, undefended and hardened, and what PGD and GAP do inside: reproduce/xu/benchmark.md.
# The plan, with the hours: benchmark-plan.md.
#
#   reproduce/xu/benchmark.sh ISIC2017 FUNDUS CHESTS [RUNS]
#
# The folders are those of run.sh, and RUNS its folder (default runs/xu): the networks and generators that it has made are taken, what is
# missing is made. Stopped at any moment, the same command goes on. ONLY names the networks (default "chexnet inception attnmel";
# attnmel-224 is planned beside them), DRY=1 says what would be trained and audited and does neither.
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

again() { # NAME METHOD PLAN FLAGS...: from the victim's weights
  "$robustdx" harden "$3" "${@:4}" --start "$runs/$1" --data "$data" --no-audit --out "$runs/$1-$2" ${DRY:+--dry-run}
}
audit() { # FOLDER NAME-METHOD
  "$robustdx" audit "$here/benchmark.toml" --model "$runs/$1" --data "$data" --no-before --out "$runs/$2-audit" ${DRY:+--dry-run}
}
victim() { # NAME DATA WORK, the epochs of it that are: longer, mpadvt, maadvt; those of the generator; the plan of analyses
  local name=$1 data=$2 plan="$here/$1.toml" against=(--eps 2/255 --judge pgd,steps=5)
  [[ " ${ONLY:-chexnet inception attnmel} " == *" $name "* ]] || return 0
  "$robustdx" harden "$plan" --data "$data" --out "$runs/$name" ${DRY:+--dry-run}
  if [[ -n ${DRY:-} && ! -e $runs/$name/manifest.json ]]; then
    echo "$name is not trained yet: what starts from it cannot be foreseen"
    return 0
  fi
  again "$name" longer "$plan" --epochs "$4"
  again "$name" mpadvt "$plan" --epochs "$5" --objective mpadvt "${against[@]}"
  again "$name" maadvt "$plan" --epochs "$6" --objective maadvt "${against[@]}"
  again "$name" auto "$here/$name-auto.toml" --recipe auto --budget "$3"
  audit "$name" "$name-undefended"
  for method in longer mpadvt maadvt auto; do
    [[ -n ${DRY:-} && ! -e $runs/$name-$method/manifest.json ]] || audit "$name-$method" "$name-$method"
  done
  [[ -n ${DRY:-} ]] && return 0
  local gap="$runs/$name-sweep/gap-10.safetensors" inside="$here/inside$8.toml"
  "$python" -m reproduce.xu.inside --model "$runs/$name" --data "$data" --gap "$runs/$name-sweep" --epochs "$7" --out "$runs/$name-inside"
  "$robustdx" audit "$inside" --model "$runs/$name" --data "$data" --attack pgd,steps=20 --attack "gap,weights=$gap" --out "$runs/$name-report"
}
victim chexnet "$chests" 40TFLOP 98 37 21 20 -findings
victim inception "$fundus" 150TFLOP 133 52 28 20 ""
victim attnmel "$isic" 600TFLOP 18 7 4 10 ""
victim attnmel-224 "$isic" 1200TFLOP 9 4 2 10 ""
[[ -n ${DRY:-} ]] && exit
"$python" -m reproduce.xu.benchmark "$runs" > "${OUT:-$here/benchmark.md}"
echo "The tables and answers are in ${OUT:-$here/benchmark.md}"
