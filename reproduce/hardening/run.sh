#!/usr/bin/env bash
# Who wins at equal work, on HAM10000: reproduce/hardening/results.md. The plan, with the hours: plan.md.
#
#   reproduce/hardening/run.sh HAM10000 [RUNS]
#
# HAM10000 is the folder in its published layout, with split_by_lesion.csv (columns image, split). RUNS is where the networks go (default
# runs/hardening). Stopped at any moment, the same command goes on; what stands in rows.jsonl is not measured again. WORK and SEEDS
# are the work of each training and the seeds, ONLY the trainings by name (default all).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data="ham10000:$(realpath "$1"),split=split_by_lesion.csv" runs=$(realpath -m "${2:-runs/hardening}")
python=${PYTHON:-python3}
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"

"$python" -m reproduce.hardening.train --data "$data" --runs "$runs" --work "${WORK:-200TFLOP}" --seeds ${SEEDS:-0} ${ONLY:+--only $ONLY}
"$python" -m reproduce.hardening.judge --data "$data" --runs "$runs"
"$python" -m reproduce.hardening.claims > "${OUT:-$here/results.md}"
echo "The table and the answers are in ${OUT:-$here/results.md}"
