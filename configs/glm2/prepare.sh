#!/bin/sh
# The data of the second shipped model: vocabularies of several sizes, the ids of text without copies and without what is held out, and prompted tasks.
#
#   configs/glm2/prepare.sh DATA [SIZE...]
#
# DATA has pretrain-en-*.jsonl.zst and pretrain-zh-*.jsonl.zst, valid-en and valid-zh, parallel-en-zh and parallel-classical-modern-zh. A vocabulary of SIZE pieces
# goes to runs/glm2/vSIZE/tokenizer.model, ids to en, zh, valid-en, valid-zh and tasks beside it. What is finished is not done again.
set -eu
[ $# -gt 0 ] || { echo "usage: $0 DATA [SIZE...]" >&2; exit 2; }
data=$(cd "$1" && pwd); shift
[ $# -gt 0 ] || set -- 6144 8192 12288 16384 24576
cd "$(dirname "$0")/../.."
# A small vocabulary has no room for all 6,400 characters that make up 99.95 % of the text: what is rarer is spelt in bytes.
coverage() {
  if [ "$1" -le 6144 ]; then echo 0.98; elif [ "$1" -le 12288 ]; then echo 0.99; elif [ "$1" -le 16384 ]; then echo 0.995; else echo 0.998; fi
}
for size; do
  out=runs/glm2/v$size
  echo "== $size pieces"
  [ -f $out/tokenizer.model ] || ./glm tokenize train "$data"/pretrain-en-*.jsonl.zst "$data"/pretrain-zh-*.jsonl.zst \
    --size "$size" --character-coverage "$(coverage "$size")" --max-characters 8000000 --output $out/tokenizer.model
  for language in en zh; do
    [ -f $out/$language/manifest.json ] || ./glm data prepare "$data"/pretrain-$language-*.jsonl.zst --deduplicate --exclude "$data"/valid-en.jsonl.zst "$data"/valid-zh.jsonl.zst \
      --tokenizer $out/tokenizer.model --output $out/$language
    [ -f $out/valid-$language/manifest.json ] || ./glm data prepare "$data"/valid-$language.jsonl.zst --tokenizer $out/tokenizer.model --output $out/valid-$language
  done
  [ -f $out/tasks/tasks.json ] || ./glm data prepare-tasks --config configs/tasks-open.json --data "$data" --exclude "$data"/valid-en.jsonl.zst "$data"/valid-zh.jsonl.zst --tokenizer $out/tokenizer.model --output $out/tasks
done
