#!/usr/bin/env bash
# Times this engine and llama.cpp in turn on one GGUF file and prints the ratios.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: bench/compare-llama.sh LLAMA_FOLDER MODEL.gguf [prompt=512] [generate=64] [threads=all]

LLAMA_FOLDER lies outside the repository and holds llama.cpp as an npm package
(npm install --ignore-scripts node-llama-cpp) and a script bench.mjs, called as
"node bench.mjs MODEL PROMPT GENERATE THREADS", that prints one JSON object with
pp_tok_s and tg_tok_s. Let nothing else run meanwhile.
TEXT
}

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
if [ $# -lt 2 ]; then usage >&2; exit 2; fi

llama=$1 model=$(realpath "$2") prompt=${3:-512} generate=${4:-64} threads=${5:-$(nproc)}
root=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$llama/bench.mjs" ] || { echo "compare-llama: $llama: expected bench.mjs, found none" >&2; exit 1; }

theirs=$(cd "$llama" && node bench.mjs "$model" "$prompt" "$generate" "$threads" | tail -n 1)
echo "$theirs"
ours=$("$root/glm" bench --model "$model" -p "$prompt" -n "$generate" --threads "$threads" --json --quiet)
echo "$ours"

field() { node -p "JSON.parse(process.argv[1])[process.argv[2]]" "$1" "$2"; }
for measure in pp_tok_s tg_tok_s; do
    ours_value=$(field "$ours" $measure) theirs_value=$(field "$theirs" $measure)
    awk -v name="$measure" -v a="$ours_value" -v b="$theirs_value" 'BEGIN { printf "%s: %s / %s = %.2f of llama.cpp\n", name, a, b, a / b }'
done
