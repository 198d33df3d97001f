// The loop from the source to the screen: one frame after the other, as fast as they are stylized.

import { backend, frameSettings, recover } from "./backends.js";
import { blended } from "./blends.js";
import { MAX_PHOTO_SIDE, scaled } from "./sources.js";
import { find, pace, state, video } from "./state.js";
import { isOnAir, sendFrame } from "./streaming.js";

let presented = 0; // frames of the video so far
let shown = 0; // stylized images so far

export const isMirrored = () => find("mirror").getAttribute("aria-pressed") === "true";

export function startLoop() {
  countFrames();
  setInterval(showFigures, 500);
  run();
}

async function run() {
  for (;;) {
    if (isReady()) {
      state.lastFrameTime = frameTime();
      await stylizeNext().catch(recover);
    } else {
      await new Promise((resolve) => {
        state.wake = resolve;
        setTimeout(resolve, 500);
      });
    }
  }
}

function countFrames() {
  presented += 1;
  state.wake();
  video.requestVideoFrameCallback ? video.requestVideoFrameCallback(countFrames) : setTimeout(countFrames, 33);
}

/** In place of the video's own signs, which a hidden page does not get. */
export function tick() {
  presented += 1;
  state.wake();
}

const isReady = () => state.source && !state.filming && backend.worker?.open && state.style && !backend.worker.busy && isNew();

const frameTime = () => (state.frozen || state.source.bitmap ? "still" : presented);

const isNew = () => (state.frozen || state.source.bitmap || video.readyState >= 2) && frameTime() !== state.lastFrameTime;

function nextBitmap() {
  if (state.frozen) {
    return createImageBitmap(state.frozen);
  }
  if (state.source.bitmap) {
    return scaled(state.source.bitmap, pace.automatic ? MAX_PHOTO_SIDE : pace.fixed, true);
  }
  return scaled(video, pace.longSide);
}

/** Sends the next frame; does not wait for it to come back. */
async function stylizeNext() {
  const { source } = state;
  const isStill = Boolean(state.frozen ?? source.bitmap);
  const bitmap = await nextBitmap();
  const began = performance.now();
  backend.worker.stylize(bitmap, frameSettings(!isStill)).then(
    (result) => {
      if (result && source === state.source) {
        show(result.source, result.stylized, source.kind === "camera" && isMirrored());
        pace.count(performance.now(), performance.now() - began);
      }
      result?.source.close();
      if (result && isOnAir()) {
        sendFrame(result);
      } else {
        result?.stylized.close();
      }
      if (!result && isStill) {
        state.lastFrameTime = -1; // dropped on the way: a still image is sent once more
      }
      state.wake();
    },
    (error) => {
      recover(error);
      state.wake();
    },
  );
}

/** An image that was stylized elsewhere. */
export function showStream(bitmap) {
  show(bitmap, bitmap, false);
  pace.count(performance.now(), 0);
}

function show(original, stylized, mirrored) {
  const after = find("after");
  for (const [canvas, bitmap] of [[find("before"), original], [after, stylized]]) {
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    const context = canvas.getContext("2d", { alpha: false });
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? bitmap.width : 0, 0);
    context.drawImage(bitmap, 0, 0);
  }
  find("frame").style.setProperty("--aspect", stylized.width / stylized.height);
  after.dataset.style = blended(state.style).name;
  after.dataset.source = state.source.kind;
  after.dataset.count = ++shown;
}

function showFigures() {
  const { source, frozen, recorder } = state;
  const figures = source && !source.bitmap && !frozen ? pace.figures(performance.now()) : null;
  find("figures").hidden = !figures;
  if (figures) {
    const { width, height } = find("after");
    find("figures").textContent = `${figures.rate.toFixed(0)} frames/s · ${figures.delay.toFixed(0)} ms · ${width} × ${height}`;
  }
  if (recorder) {
    const seconds = Math.floor(recorder.seconds);
    find("recorded").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}
