// The knobs on the page. As text they are what the command calls a look, such as strength=0.7&stroke_size=2.

import { find } from "./state.js";

const AS_TRAINED = { strength: "1", stroke_size: "1", keep_color: "", region: "" };

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
  const values = Object.keys(AS_TRAINED).map((name) => [name, field(name).value]);
  return values.filter(([name, value]) => value !== AS_TRAINED[name] && (name !== "strength" || style.adjustable));
}

/** The look as text. */
export const lookText = (style) => new URLSearchParams(changed(style)).toString();

/** The look as numbers and words, for a worker that follows it by itself. */
export function lookValues(style) {
  const values = { ...AS_TRAINED, ...Object.fromEntries(changed(style)) };
  return { ...values, strength: Number(values.strength), stroke_size: Number(values.stroke_size) };
}

/** Set the knobs to what the page's address says, and give the style that it names, if it does. */
export function readAddress() {
  const asked = new URLSearchParams(location.search);
  for (const name of Object.keys(AS_TRAINED)) {
    if (asked.has(name)) {
      set(name, asked.get(name));
    }
  }
  return asked.get("style");
}

/** Make the page's address say what is chosen, so that it can be kept and sent. */
export function writeAddress(style) {
  const query = new URLSearchParams(location.search);
  for (const name of ["style", ...Object.keys(AS_TRAINED)]) {
    query.delete(name);
  }
  for (const [name, value] of [["style", style.name], ...changed(style)]) {
    query.set(name, value);
  }
  history.replaceState(null, "", `?${query}`);
}

/** Call `onChange` whenever a knob is moved. */
export function wireKnobs(onChange) {
  for (const name of ["strength", "stroke_size", "keep_color", "region"]) {
    find(name).addEventListener("input", onChange);
  }
}

/** Show the strength only where the style has it. */
export function fitKnobs(style) {
  find("strength-label").hidden = !style.adjustable;
}
