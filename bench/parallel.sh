#!/usr/bin/env bash
# Times training steps over several processes beside one: tensor, pipeline and data parallel, and what communication costs.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: bench/parallel.sh TEXT [steps=12] [model=glm-7m]

TEXT is a text file or folder to train on (glm data prepare reads it); MODEL a preset,
or a config.json, whose shape is trained. Needs mpirun (apt install openmpi-bin). Let nothing else run
meanwhile. Every row does the same steps on the same micro-batches; figures are medians
without the first three steps. "communication" is the share of a step in which it held
up computation, waiting for other ranks and the pipeline's bubble included.
TEXT
}

case "${1:-}" in -h | --help) usage; exit 0 ;; '') usage >&2; exit 2 ;; esac
text=$(realpath "$1") steps=${2:-12} model=${3:-glm-7m}
root=$(cd "$(dirname "$0")/.." && pwd)
command -v mpirun >/dev/null || { echo "parallel: mpirun was not found (apt install openmpi-bin)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

tokenizer=$root/models/glm-9m/tokenizer.model
"$root/glm" data prepare "$text" --tokenizer "$tokenizer" --output "$work/data" --quiet >/dev/null

# name, tensor ranks, stages, data ranks, threads of each rank, other fields
measure() {
    local name=$1 tensors=$2 stages=$3 data=$4 threads=$5 fields=${6:-}
    local ranks=$((tensors * stages * data)) run="$work/run"
    rm -rf "$run"
    cat >"$work/config.json" <<JSON
{ "model": "$model", "tokenizer": "$tokenizer", "data": [{ "path": "data" }], "output": "run", "seq_length": 512, "length_per_sample": 500,
  "micro_batch": 2, "global_batch": 16, "train_samples": $((16 * steps)), "lr": 1e-3, "min_lr": 1e-4, "save_interval": 100000, "eval_interval": 100000,
  "tensor_parallel": $tensors, "pipeline_parallel": $stages $fields }
JSON
    local launch=()
    [ "$ranks" = 1 ] || launch=(mpirun -n "$ranks" --oversubscribe --bind-to none)
    "${launch[@]}" "$root/glm" pretrain --config "$work/config.json" --threads "$threads" --quiet >/dev/null
    awk -v name="$name" -v ranks="$ranks" -v threads="$threads" -v base="$work/base" '
        function field(key) { return match($0, "\"" key "\":[-0-9.eE+]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : 0 }
        function median(list, n,    i, j, t) {
            for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
            return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
        }
        NR > 3 { n++; speed[n] = field("tokens_per_second"); share[n] = field("communication_share"); sent[n] = field("sent_bytes"); loss = field("loss") }
        END {
            rate = median(speed, n)
            if ((getline first < base) <= 0) { first = rate; print rate >base }
            printf "| %s | %d x %d | %.0f | %.2f | %.0f %% | %.1f | %.5f |\n", name, ranks, threads, rate, rate / first, 100 * median(share, n), median(sent, n) / 1e6, loss
        }' "$run/log.jsonl"
}

cores=$(nproc) half=$((($(nproc) + 1) / 2))
echo "| layout | ranks x threads | tokens/s | to one process | communication | MB sent a step | last loss |"
echo "|---|---|---|---|---|---|---|"
measure "one process" 1 1 1 "$cores"
measure "one process, half the threads" 1 1 1 "$half"
measure "TP2" 2 1 1 "$half"
measure "PP2, 1F1B" 1 2 1 "$half"
measure "PP2, GPipe" 1 2 1 "$half" ', "pipeline_schedule": "gpipe"'
measure "DP2" 1 1 2 "$half"
measure "TP2 x PP2" 2 2 1 1
measure "PP4, 1F1B" 1 4 1 1
measure "PP4, GPipe" 1 4 1 1 ', "pipeline_schedule": "gpipe"'
measure "TP2 x PP2 x DP2" 2 2 2 1
