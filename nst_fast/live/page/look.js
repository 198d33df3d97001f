// The knobs on the page. As text they are what the command calls a look, such as strength=0.7&stroke_size=2.

import { find, memory } from "./state.js";

const AS_TRAINED = { strength: "1", stroke_size: "1", keep_color: "", region: "" };

export const lookNames = Object.keys(AS_TRAINED);

const field = (name) => (name === "region" ? document.querySelector("#region input:checked") : find(name));

function set(name, value) {
  if (name === "region") {
    const radio = [...document.querySelectorAll("#region input")].find((each) => each.value === value);
    (radio ?? document.querySelector("#region input")).checked = true;
    return;
  }
  const input = find(name);
  input.value = input.type === "range" && !Number.isFinite(Number(value)) ? AS_TRAINED[name] : value;
  if (input.selectedIndex === -1) {
    input.value = AS_TRAINED[name];
  }
}

/** What differs from how the network was trained, by name; strength only for a style that has it. */
function changed(style) {
  const values = lookNames.map((name) => [name, field(name).value]);
  return values.filter(([name, value]) => value !== AS_TRAINED[name] && (name !== "strength" || style.adjustable));
}

/** The look as text. */
export const lookText = (style) => new URLSearchParams(changed(style)).toString();

/** The look as numbers and words, for a worker that follows it by itself. */
export function lookValues(style) {
  const values = { ...AS_TRAINED, ...Object.fromEntries(changed(style)) };
  return { ...values, strength: Number(values.strength), stroke_size: Number(values.stroke_size) };
}

/** Set the knobs to a look as text. */
export function setLook(text) {
  const asked = new URLSearchParams(text);
  for (const name of lookNames) {
    set(name, asked.get(name) ?? AS_TRAINED[name]);
  }
}

/** Set the knobs to what the page's address says, else to what they were, and give the style that is named there. */
export function readAddress() {
  const address = new URLSearchParams(location.search);
  const asked = ["style", ...lookNames].some((name) => address.has(name));
  setLook(asked ? address : memory.get("look") ?? "");
  return asked ? address.get("style") : memory.get("style");
}

/** Remember what is chosen, and make the page's address say it, so that it can be kept and sent. */
export function writeAddress(style) {
  memory.set("style", style.name);
  memory.set("look", lookText(style));
  const query = new URLSearchParams(location.search);
  for (const name of ["style", ...lookNames]) {
    query.delete(name);
  }
  for (const [name, value] of [["style", style.name], ...changed(style)]) {
    query.set(name, value);
  }
  history.replaceState(null, "", `?${query}`);
}

/** Call `onChange` whenever a knob is moved. */
export function wireKnobs(onChange) {
  for (const name of lookNames) {
    find(name).addEventListener("input", onChange);
  }
}

/** Show the strength only where the style has it. */
export function fitKnobs(style) {
  find("strength-label").hidden = !style.adjustable;
}
