#!/usr/bin/env bash
# Train the shipped checkpoints again: scripts/train_checkpoints.sh PAINTINGS PHOTOS [NAME ...]
#
# PAINTINGS holds wave.jpg, starry_night.jpg and the_scream.jpg, PHOTOS some 1,300 natural photos of 288 px or more on
# the short side. Everything has one recipe, `preset=laptop`: about a quarter of an hour each on two cores. A run that was
# cut is continued. NST_FAST_VGG19_WEIGHTS names the weights of VGG-19, if they are not to be downloaded.
set -euo pipefail
paintings=$(realpath -- "$1") photos=$(realpath -- "$2")
shift 2
wanted=" ${*:-wave starry_night the_scream} "
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# train NAME TITLE ARTIST YEAR
train() {
    [[ $wanted == *" $1 "* ]] || return 0
    .venv/bin/nst-fast train style="$paintings/$1.jpg" content="$photos" preset=laptop output="runs/shipped/$1" \
        title="$2" artist="$3" year="$4"
    cp "runs/shipped/$1/$1.safetensors" checkpoints/
}

train wave "The Great Wave off Kanagawa" "Katsushika Hokusai" 1831
train starry_night "The Starry Night" "Vincent van Gogh" 1889
train the_scream "The Scream" "Edvard Munch" 1893
