#!/usr/bin/env bash
# From a fresh copy to painted photos: paint with the shipped styles, then train one of your own and paint with that.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment --no-dev --inexact # adds what is missing, and leaves a developer's tools where they are

photo=docs/examples/photos/china.jpg
painting=docs/examples/painting.jpg
painted=painted/quickstart
made=() # lines for the end: a path and what it is

echo
shopt -s nullglob
checkpoints=(checkpoints/*.safetensors)
if ((${#checkpoints[@]} == 0)); then
    echo "No styles are shipped with this copy: painting starts with the one that is trained now."
fi
for checkpoint in ${checkpoints[@]+"${checkpoints[@]}"}; do
    style=$(basename -- "$checkpoint" .safetensors)
    echo "Painting $photo in the style $style ..."
    .venv/bin/nst-fast stylize "$photo" --style "$style" --output "$painted/$style.png"
    made+=("$painted/$style.png  the photo in the style $style")
done

echo
echo "Training a network for $painting: about two minutes on two cores ..."
.venv/bin/nst-fast train style="$painting" content=docs/examples/photos preset=quickstart output="$painted/training"
.venv/bin/nst-fast stylize "$photo" --style "$painted/training/painting.safetensors" --output "$painted/own_painting.png"
made+=("$painted/own_painting.png  the photo in the style of $painting, by your own network")
made+=("$painted/training/painting.safetensors  that network: --style takes it for any photo")

echo
echo "Done. Have a look:"
printf '  %s\n' "${made[@]}"
