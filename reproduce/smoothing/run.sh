#!/usr/bin/env bash
# Denoised smoothing on HAM10000: certified accuracy of a network that never saw noise, alone and behind a denoiser. About 45 minutes
# of one core. Stopped at any moment, the same command goes on.
#
#   reproduce/smoothing/run.sh PATH [RUNS]
#
# PATH holds HAM10000 in its published layout and split_by_lesion.csv (columns image, split).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data="ham10000:$1,split=split_by_lesion.csv,labels=isic2019"
runs=$(realpath -m "${2:-runs/smoothing}")
sigma=0.12
python=${PYTHON:-python3} robustdx=${ROBUSTDX:-robustdx}
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"

"$robustdx" harden "$here/resnet.toml" --data "$data" --out "$runs/resnet"
"$python" -m reproduce.smoothing.learn "$data" "$sigma" "$runs/denoiser.safetensors"
certify() { "$robustdx" certify --model "$runs/resnet" --data "$data" --sigma "$sigma" --samples 100,1000 --images "${IMAGES:-100}" "$@"; }
certify --out "$runs/alone"
certify --purifier "denoiser,weights=$runs/denoiser.safetensors" --out "$runs/denoised"
"$python" -m reproduce.smoothing.table "$runs" > "$here/results.md"
echo "The curve is in $here/results.md, with intervals in $runs/denoised/certificate.html"
