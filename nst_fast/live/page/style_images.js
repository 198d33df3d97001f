// An image as the style: the server reads the style off it, and from then on it is a style like the others.

import { chooseStyle } from "./actions.js";
import { say, warn } from "./notices.js";
import { find, hasServer, state } from "./state.js";
import { updateStyles } from "./styles.js";

/** Whether what is dropped or pasted is meant as the style. What is pasted is where the mouse is, or the focus. */
export function isOnShelf({ type, target }) {
  const pointed = type === "paste" && find("styles").matches(":hover");
  return hasServer && (pointed || Boolean(target.closest?.("#styles")));
}

export async function useStyleImage(file) {
  say("Reading the style off the image …");
  try {
    const wanted = encodeURIComponent(file.name.replace(/\.[^.]*$/, ""));
    const { name } = await ask(`api/styles?name=${wanted}`, { method: "POST", body: file });
    // All of them: an older style may have made room.
    state.styles = (await ask("api/styles")).styles;
    chooseStyle(name);
    updateStyles(find("style-list"), state.styles, state.style, chooseStyle);
    say("The image is the style now.");
  } catch (error) {
    say("");
    warn("This image cannot be used as the style", `${error.message}.`);
  }
}

async function ask(address, options) {
  const answer = await fetch(address, options);
  if (!answer.ok) {
    throw new Error((await answer.text()).trim());
  }
  return answer.json();
}
