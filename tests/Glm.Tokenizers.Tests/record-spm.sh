#!/bin/sh
# Records what spm_encode makes of the synthetic lines, for the models in the folder of tokenizer files.
# Run RecordedIds once before (it writes the lines), then: record-spm.sh FOLDER
set -e
here=$(dirname "$0")
lines=$(ls "$here"/bin/Release/*/synthetic-lines.txt)
mkdir -p "$here/vectors"
for model in chatglm-6b/ice_text chatglm2-6b/tokenizer glm-10b-chinese/cog-pretrain; do
    spm_encode --model="$1/$model.model" --output_format=id < "$lines" | gzip -9n > "$here/vectors/$(dirname $model).ids.gz"
done
