#!/usr/bin/env bash
# Evaluates a model on every task there is data for and keeps the results here: scores, and items packed, without any text.
# Interrupted, it goes on where it was; what it was interrupted in is left out of the report.
#
#   docs/results/run.sh DATA [MODEL [NAME [PRECISION...]]]    (default: models/glm-9m, the last part of its path, bf16 and int4)
set -eu

cd "$(dirname "$0")/../.."
data=${1:?expected the folder of the data sets}
model=${2:-models/glm-9m}
name=${3:-$(basename "$model")}
precisions=("${@:4}")
[ ${#precisions[@]} -gt 0 ] || precisions=(bf16 int4)

for precision in "${precisions[@]}"; do
  work=runs/results/$name/$precision kept=docs/results/$name/$precision
  # What is kept already is gone on with.
  [ -d "$work" ] || { mkdir -p "$(dirname "$work")"; [ ! -d "$kept" ] || cp -r "$kept" "$work"; }
  ./glm eval --model "$model" --tasks tasks --data "$data" --precision "$precision" --skip-missing --no-text --output "$work"
  rm -rf "$kept"
  mkdir -p "$(dirname "$kept")"
  cp -r "$work" "$kept"
  find "$kept" -name '*.jsonl' -exec gzip -9nf {} +
done
./glm report docs/results --output docs/results/report.md
./glm report docs/results --output docs/results/report.html
