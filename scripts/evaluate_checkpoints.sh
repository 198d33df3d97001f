#!/usr/bin/env bash
# Evaluates the shipped networks and prints a table: scripts/evaluate_checkpoints.sh STYLES PHOTOS [key=value ...]
#
# STYLES is a folder with a NAME.jpg for each shipped NAME or NAME_johnson, PHOTOS the folder that was used for training.
# key=value goes to each nst-fast evaluate. It takes half an hour for each network on two cores, minutes on a GPU. Run it
# again to resume; overwrite=true starts over. Set NST_FAST_VGG19_WEIGHTS to a file with the weights of VGG-19 to avoid
# the download.
set -euo pipefail
styles=$(realpath -- "$1") photos=$(realpath -- "$2")
shift 2
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

folders=()
for checkpoint in checkpoints/*.safetensors; do
    name=$(basename -- "$checkpoint" .safetensors)
    folders+=("evaluations/shipped/$name")
    .venv/bin/nst-fast evaluate checkpoint="$name" style="$styles/${name%_johnson}.jpg" content="$photos" \
        output="evaluations/shipped/$name" "$@"
done
.venv/bin/python scripts/tabulate_evaluations.py "${folders[@]}"
