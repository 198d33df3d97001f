// The bare view for OBS: the stream and nothing else, transparent where there is none. What the address asks for is told
// to the source once, when it is on air; from then on the view follows whatever is changed.

import { StreamView } from "./stream_view.js";

const KNOBS = ["strength", "stroke_size", "keep_color", "region"];
const query = new URLSearchParams(location.search);
const canvas = document.getElementById("stream");
const context = canvas.getContext("2d");
let shown = 0;
let asked = false;

canvas.classList.toggle("contain", query.get("fit") === "contain");

/** The settings in the address; those that it leaves out stay as they are. */
function readAddress() {
  const wanted = {};
  if (query.has("style")) {
    wanted.style = query.get("style");
  }
  const look = KNOBS.filter((name) => query.has(name)).map((name) => [name, query.get(name)]);
  if (look.length) {
    wanted.look = new URLSearchParams(look).toString();
  }
  for (const name of ["smoothing", "coherence", "size"]) {
    if (query.has(name)) {
      wanted[name] = Number(query.get(name));
    }
  }
  return wanted;
}

function show(bitmap) {
  canvas.width = bitmap.width; // clears it, too
  canvas.height = bitmap.height;
  context.drawImage(bitmap, 0, 0);
  canvas.dataset.count = ++shown;
}

const view = new StreamView(show, ({ source, settings, error }) => {
  if (error) {
    console.warn(error);
    return;
  }
  if (!source) {
    context.clearRect(0, 0, canvas.width, canvas.height);
  } else if (!asked && settings.style) {
    asked = true;
    view.send(readAddress());
  }
  canvas.dataset.source = source ?? "";
});
