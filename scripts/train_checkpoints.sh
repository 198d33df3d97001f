#!/usr/bin/env bash
# Train the shipped checkpoints again: scripts/train_checkpoints.sh PAINTINGS PHOTOS [NAME ...]
#
# PAINTINGS holds wave.jpg, starry_night.jpg and the_scream.jpg, PHOTOS some 1,300 natural photos of 288 px or more on
# the short side. All have one recipe, `preset=laptop` with more steps: 20 minutes each on two cores. The Scream starts
# from the network of the wave, and takes five. A run that was cut is continued. NST_FAST_VGG19_WEIGHTS names the weights
# of VGG-19, if they are not to be downloaded.
set -euo pipefail
paintings=$(realpath -- "$1") photos=$(realpath -- "$2")
shift 2
wanted=" ${*:-wave starry_night the_scream} "
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# train NAME TITLE ARTIST YEAR [key=value ...]
train() {
    local name=$1 title=$2 artist=$3 year=$4
    shift 4
    [[ $wanted == *" $name "* ]] || return 0
    .venv/bin/nst-fast train style="$paintings/$name.jpg" content="$photos" preset=laptop output="runs/shipped/$name" \
        title="$title" artist="$artist" year="$year" "$@"
    cp "runs/shipped/$name/$name.safetensors" checkpoints/
}

train wave "The Great Wave off Kanagawa" "Katsushika Hokusai" 1831 steps=2400
train starry_night "The Starry Night" "Vincent van Gogh" 1889 steps=2400
train the_scream "The Scream" "Edvard Munch" 1893 steps=700 init=wave
