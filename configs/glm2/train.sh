#!/bin/sh
# Trains what configurations describe, one after another: the vocabularies, the scaling study, the model itself.
#
#   configs/glm2/train.sh configs/glm2/scaling-*.json
#
# What is finished is not done again, and what was interrupted goes on.
set -eu
[ $# -gt 0 ] || { echo "usage: $0 CONFIG..." >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
for config in "$@"; do
  run=$(sed -n 's/.*"output": *"\([^"]*\)".*/\1/p' "$config" | head -1)
  run=$(cd "$(dirname "$config")" && mkdir -p "$run" && cd "$run" && pwd)
  [ -e "$run/model" ] && continue
  resume=; [ -d "$run/checkpoints" ] && resume=--resume
  echo "== $config"
  "$root/glm" pretrain --config "$config" $resume
done
