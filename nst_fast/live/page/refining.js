// Refine: a style that was made from an image is trained further, while the page shows it.

import { chooseStyle } from "./actions.js";
import { say, warn } from "./notices.js";
import { offerFile } from "./saving.js";
import { change, find, hasServer, state } from "./state.js";
import { updateStyles } from "./styles.js";
import { draw } from "./training.js";

const EVERY = 1000; // milliseconds
let known = null; // the refinement as the server described it last; null: there is none
let watching = false;

/** Show what the server is refining, if it is: also after the page was opened again. */
export async function findRefinement() {
  if (hasServer) {
    await take(await ask("api/refinement"));
  }
}

/** Show the button for a style that can be refined. */
export function offerRefinement({ file }) {
  find("refine").hidden = !file || Boolean(known);
}

export async function refine() {
  const { why_not: whyNot } = await ask("api/refinement");
  if (whyNot) {
    warn("This style cannot be refined here", `${whyNot}.`);
    return;
  }
  await act(`?style=${encodeURIComponent(state.style.name)}`);
}

export const pauseOrResume = () => act(known.state === "paused" ? "/resume" : "/pause");

export async function keep() {
  const name = known.style;
  if (!(await act("/keep"))) {
    return;
  }
  const { file } = state.styles.find((style) => style.name === name);
  const link = Object.assign(document.createElement("a"), { href: file, download: `${name}.safetensors` });
  link.click();
  say("The refined style was kept and saved.");
}

export async function discard() {
  if (await act("/discard")) {
    say("The style is what it was before.");
  }
}

/** Whether the server did it. */
async function act(what) {
  try {
    await take(await ask(`api/refinement${what}`, { method: "POST" }));
    return true;
  } catch (error) {
    warn("Refine", `${error.message}.`);
    return false;
  }
}

async function ask(address, options) {
  const answer = await fetch(address, options);
  if (!answer.ok) {
    throw new Error((await answer.text()).trim());
  }
  return answer.json();
}

async function take({ refinement }) {
  const before = known;
  known = refinement;
  find("refining").hidden = !known;
  if (known) {
    show();
  }
  if (before && (before.version !== known?.version || before.state !== known?.state)) {
    await takeNetwork(before.style);
  }
  offerRefinement(state.style);
  watch();
}

async function watch() {
  if (watching) {
    return;
  }
  watching = true;
  while (known) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    const news = known && (await ask("api/refinement").catch(() => null));
    if (news) {
      await take(news);
    }
  }
  watching = false;
}

function show() {
  find("refining-title").textContent = `Refining ${known.style}`;
  find("refining-step").textContent = describe();
  const { losses } = known;
  find("refining-losses").toggleAttribute("hidden", losses.length < 2);
  if (losses.length > 1) {
    draw(find("refining-losses"), find("refining-legend"), losses);
  }
  find("refining-pause").hidden = known.state === "finished" || known.state === "failed";
  find("refining-pause").textContent = known.state === "paused" ? "Resume" : "Pause";
}

function describe() {
  const { step, steps, error, seconds_left: seconds } = known;
  const done = `Step ${step} of ${steps}`;
  const left = seconds === null ? "" : seconds < 60 ? ", less than a minute left" : `, about ${Math.round(seconds / 60)} min left`;
  const texts = {
    starting: "Preparing. The first change takes some seconds …",
    training: `${done}${left}`,
    paused: step ? `Paused at step ${step} of ${steps}` : "Paused",
    finished: `Finished after ${steps} steps. Keep it?`,
    failed: `It ended: ${error}.`,
  };
  return texts[known.state];
}

/** The style has another network: show it. */
async function takeNetwork(name) {
  state.styles = (await ask("api/styles")).styles;
  const style = state.styles.find((each) => each.name === name);
  const isOver = !known || known.state === "finished";
  if (style && isOver) {
    const tile = [...document.querySelectorAll("#style-list input")].find((input) => input.value === name);
    tile?.parentElement.querySelector("img").setAttribute("src", style.thumbnail);
  }
  if (state.style.name !== name) {
    state.style = state.styles.find((each) => each.name === state.style.name) ?? state.style;
    return;
  }
  if (!style || isOver) {
    chooseStyle(name);
    updateStyles(find("style-list"), state.styles, state.style, chooseStyle);
    return;
  }
  state.style = style;
  offerFile(style);
  if (state.frozen || state.source?.bitmap) {
    change(); // moving images take it with their next frame
  }
}
