#!/bin/sh
# The same runs in bfloat16 and float32, three seeds (precision.json), two at a time of one thread each; prints the mean loss of each run's last 50 steps, and how far
# the losses of the two precisions lie apart in a step, beside how far those of two seeds do. About an hour and a half on two cores. The data are those of configs/glm2/prepare.sh
# (16,384 pieces). What is finished is not done again; an interrupted run goes on.
set -eu
cd "$(dirname "$0")/../.."
out=runs/precision
mkdir -p $out
./glm --version > /dev/null # builds it once
for run in float32-1 bfloat16-1 float32-2 bfloat16-2 float32-3 bfloat16-3; do
  echo "{\"base\": \"../../configs/experiments/precision.json\", \"output\": \"$run\", \"precision\": \"${run%-*}\", \"seed\": ${run#*-}}" > "$out/$run.json"
  [ -e "$out/$run/model" ] || echo $run
done | xargs -P 2 -I RUN sh -c './glm pretrain --config '$out'/RUN.json --threads 1 --quiet $([ ! -d '$out'/RUN/checkpoints ] || echo --resume)'
losses() { awk -F '"loss":' '{ split($2, a, /[,}]/); print a[1] }' "$out/$1/log.jsonl"; }
for seed in 1 2 3; do for precision in bfloat16 float32; do
  losses $precision-$seed | tail -n 50 | awk -v run=$precision-$seed '{ sum += $1 } END { printf "%-12s %.4f\n", run, sum / NR }'
done; done
apart() {
  losses "$1" > $out/a; losses "$2" > $out/b
  paste $out/a $out/b | awk -v what="$1, $2" '{ sum += ($1 - $2) ^ 2 } END { printf "%-24s %.4f\n", what, sqrt(sum / NR) }'
}
echo "root mean square of the difference of two runs' losses, all steps"
for seed in 1 2 3; do apart bfloat16-$seed float32-$seed; done
apart float32-1 float32-2; apart float32-1 float32-3; apart float32-2 float32-3
