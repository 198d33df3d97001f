#!/usr/bin/env bash
# From a fresh clone to stylized photos: use the shipped styles, then train a style network of your own and use that.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment --no-dev --extra train

photo=docs/examples/photos/china.jpg
style_image=docs/examples/painting.jpg
output=stylized/quickstart
results=() # lines for the end: a path and what it is

echo
shopt -s nullglob
checkpoints=(checkpoints/*.safetensors)
if ((${#checkpoints[@]} == 0)); then
    echo "This copy has no shipped styles; it starts with the training."
fi
for checkpoint in ${checkpoints[@]+"${checkpoints[@]}"}; do
    style=$(basename -- "$checkpoint" .safetensors)
    echo "Stylizing $photo with $style ..."
    .venv/bin/nst-fast stylize "$photo" --style "$style" --output "$output/$style.png"
    results+=("$output/$style.png  the photo in the style $style")
done

echo
echo "Training a style network for $style_image: about two minutes on two cores ..."
.venv/bin/nst-fast train style="$style_image" content=docs/examples/photos preset=quickstart output="$output/training"
.venv/bin/nst-fast stylize "$photo" --style "$output/training/painting.safetensors" --output "$output/own_style.png"
results+=("$output/own_style.png  the photo in the style of $style_image, by your own network")
results+=("$output/training/painting.safetensors  that network: pass it to --style for any photo")

echo
echo "Done. Take a look:"
printf '  %s\n' "${results[@]}"
