#!/bin/sh
# The stability study at small scale: the normalisations at three learning rates, embedding-gradient shrink, and the precision of the softmax, each in a run of some minutes on two cores.
#
#   configs/experiments/run.sh TEXT...
#
# TEXT are files or folders as `glm data prepare` takes them. What is finished is not done again; an interrupted run goes on. A run that diverges ends by itself,
# which is a result. The plots of all runs are in runs/stability/plots/logs.html.
set -eu
cd "$(dirname "$0")/../.."
out=runs/stability
if [ ! -f $out/data/manifest.json ]; then
  [ $# -gt 0 ] || { echo "usage: $0 TEXT..." >&2; exit 2; }
  ./glm data prepare "$@" --output $out/data
fi
for config in configs/experiments/stability*.json; do
  name=$(basename "$config" .json); name=${name#stability}; name=${name#-}; name=${name:-deepnorm-2e-3}
  [ "$name" = shape ] && continue
  run=$out/$name
  [ -e "$run/model" ] && continue
  resume=; [ -d "$run/checkpoints" ] && resume=--resume
  echo "== $name"
  ./glm pretrain --config "$config" $resume || [ $? -eq 1 ]
done
runs=
for log in $out/*/log.jsonl; do runs="$runs ${log%/log.jsonl}"; done
./glm logs $runs --x samples --output $out/plots
