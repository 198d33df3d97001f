#!/usr/bin/env bash
# How good the shipped networks are, as the README's table: scripts/evaluate_checkpoints.sh PAINTINGS PHOTOS [key=value ...]
#
# PAINTINGS holds a NAME.jpg for each shipped NAME or NAME_johnson, PHOTOS is the folder that was trained on; key=value goes to each
# nst-fast evaluate. Half an hour for each network on two cores, minutes on a GPU. What was cut is continued;
# overwrite=true begins anew. NST_FAST_VGG19_WEIGHTS names the weights of VGG-19, if they are not to be downloaded.
set -euo pipefail
paintings=$(realpath -- "$1") photos=$(realpath -- "$2")
shift 2
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

folders=()
for checkpoint in checkpoints/*.safetensors; do
    name=$(basename -- "$checkpoint" .safetensors)
    folders+=("evaluations/shipped/$name")
    .venv/bin/nst-fast evaluate checkpoint="$name" style="$paintings/${name%_johnson}.jpg" content="$photos" \
        output="evaluations/shipped/$name" "$@"
done
.venv/bin/python scripts/tabulate_evaluations.py "${folders[@]}"
