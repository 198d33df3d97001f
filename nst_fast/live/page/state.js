// What the page knows: what is chosen, where frames come from, and what is going on.

import { Pace } from "./pace.js";

export const find = (id) => document.getElementById(id);
export const hasServer = document.documentElement.dataset.server === "yes";
export const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
export const pace = new Pace();

export const state = {
  styles: [],
  style: null,
  source: null, // {kind: "camera" | "photo" | "film" | "sample" | "stream", bitmap?, file?, view?}
  frozen: null, // the bitmap that is held
  recorder: null,
  filming: null, // AbortController while a whole film is stylized
  wholePhoto: null, // the photo at its own size, stylized, as a file
  lastFrameTime: -1, // of the frame that was sent last; -1: the next one is new in any case
  wake: () => {}, // ends the pause of the loop
  serverCamera: null, // the name of the camera that the server owns
  afterChange: () => {}, // told of every change
};

/** Something changed, so that the image on the screen is out of date. */
export function change() {
  pace.restart(performance.now());
  state.wholePhoto = null;
  state.lastFrameTime = -1;
  state.wake();
  state.afterChange();
}

/** Settings that outlive the page, where the browser allows it; some keep nothing, some throw. */
export const memory = {
  get(key) {
    try {
      return localStorage.getItem(`nst-fast ${key}`);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`nst-fast ${key}`, value);
    } catch {
      // Then it is forgotten.
    }
  },
};
