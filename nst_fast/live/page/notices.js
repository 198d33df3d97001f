// What the page tells its user: a line beside the settings, or a notice in the middle of the image.

import { find } from "./state.js";

export function say(text) {
  find("state").textContent = text;
}

/** A notice; with an action it has a button for it. */
export function warn(title, text, action, label = "Try again") {
  find("notice-title").textContent = title;
  find("notice-text").textContent = text;
  find("notice-action").hidden = !action;
  find("notice-action").textContent = label;
  find("notice-action").onclick = () => {
    hideNotice();
    action();
  };
  find("notice").hidden = false;
}

export function hideNotice() {
  find("notice").hidden = true;
}
