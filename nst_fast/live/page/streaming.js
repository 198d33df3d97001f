// The stream for OBS and for calls: this page on air, or the camera that the server owns.

import { chooseStyle, useSource } from "./actions.js";
import { frameSettings, isOnThisComputer } from "./backends.js";
import { readBlend } from "./blends.js";
import { lookNames, setLook } from "./look.js";
import { showStream, tick } from "./loop.js";
import { hideNotice, say, warn } from "./notices.js";
import { find, pace, state } from "./state.js";
import { StreamView } from "./stream_view.js";

const ECHO = 1000; // milliseconds in which the server may still tell what was before
let worker = null; // while this page is on air
let told = ""; // the settings that the server was told last, or that it told
let toldAt = -Infinity;
let applying = false;

export const isOnAir = () => Boolean(worker);

/** Put this page on air, or take it off. */
export function toggleAir() {
  if (worker) {
    leaveAir();
    say("Nothing is streamed any more.");
    return;
  }
  worker = new Worker(new URL("./stream_worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => receive(data);
  find("air").hidden = false;
  find("stream").setAttribute("aria-pressed", "true");
  find("air-address").textContent = new URL("obs", location.origin).href;
  find("air-token").hidden = isOnThisComputer;
  tellHidden();
  told = "";
  tellSettings();
  state.lastFrameTime = -1; // so that a still image is streamed, too
  state.wake();
}

function leaveAir() {
  worker.terminate();
  worker = null;
  find("air").hidden = true;
  find("stream").setAttribute("aria-pressed", "false");
}

function receive(message) {
  if (message.type === "tick") {
    tick();
  } else if (message.type === "viewers") {
    find("air-viewers").textContent = message.viewers === 1 ? "1 viewer" : `${message.viewers} viewers`;
  } else if (message.type === "change") {
    applySettings(message.settings);
    told = "";
    tellSettings();
  } else if (message.type === "ended") {
    leaveAir();
    say(`This page is off the air: ${message.reason}.`);
  } else {
    find("air-viewers").textContent = message.open ? "0 viewers" : "The server does not answer. This page tries again by itself.";
  }
}

export async function copyAddress() {
  await navigator.clipboard.writeText(find("air-address").textContent);
  say("The address was copied.");
}

/** Send a stylized image, which is used up by it. */
export function sendFrame({ stylized, jpeg }) {
  if (jpeg) {
    stylized.close();
    worker.postMessage({ type: "frame", jpeg });
  } else {
    worker.postMessage({ type: "frame", bitmap: stylized }, [stylized]);
  }
}

const tellHidden = () => worker?.postMessage({ type: "hidden", hidden: document.hidden });
document.addEventListener("visibilitychange", tellHidden);

// ---- settings ----

function readSettings() {
  const { style, smoothing, coherence, look } = frameSettings(true);
  return { style, smoothing, coherence, look, size: pace.automatic ? null : pace.fixed };
}

/** After a change on the page: tell whoever streams. */
export function tellSettings() {
  const { view } = state.source ?? {};
  if (applying || !state.style || !(worker || view)) {
    return;
  }
  const settings = readSettings();
  const text = JSON.stringify(settings);
  if (text !== told) {
    told = text;
    toldAt = performance.now();
    view ? view.send(settings) : worker.postMessage({ type: "settings", text });
  }
}

/** Set the page to settings that somebody else chose; what it does not know is left out. */
function applySettings({ style, smoothing, coherence, look, size }) {
  applying = true;
  if (look !== undefined) {
    setLook(look);
  }
  find("smoothing").value = smoothing ?? find("smoothing").value;
  find("coherence").value = coherence ?? find("coherence").value;
  const option = size === undefined ? null : [...find("size").options].find(({ value }) => value === String(size ?? "auto"));
  if (option) {
    find("size").value = option.value;
    find("size").onchange();
  }
  const named = state.styles.find(({ name }) => name === style);
  if (named) {
    find("blend-with").value = "";
  }
  const chosen = named ?? readBlend(style, state.styles) ?? state.style;
  for (const radio of document.querySelectorAll("#style-list input")) {
    radio.checked = radio.value === chosen.name;
  }
  chooseStyle(chosen.name);
  applying = false;
}

// ---- the camera of the server ----

/** Offer the camera of the server among the cameras. */
export function offerServerCamera(name) {
  state.serverCamera = name;
  find("stream").hidden = true; // it is on air already
  find("cameras").prepend(new Option(`nst-fast: ${name}`, "server", true, true));
}

export function startServerCamera() {
  const asks = [...new URLSearchParams(location.search).keys()].some((key) => key === "style" || lookNames.includes(key));
  let isFirst = true;
  const onState = (news) => {
    if (news.error) {
      say(news.error);
      return;
    }
    if (news.problem) {
      warn("The camera of the server", `${news.problem}.`);
    } else if (news.source) {
      hideNotice();
    } else {
      warn("The server does not answer", "nst-fast live has stopped, or is still starting. This page reconnects by itself.");
    }
    if (news.source && isFirst && asks) {
      told = "";
      tellSettings();
    } else if (news.source && isNews(news.settings)) {
      applySettings(news.settings);
      told = JSON.stringify(readSettings());
    }
    isFirst &&= !news.source;
  };
  const view = new StreamView(showStream, onState);
  told = JSON.stringify(readSettings());
  useSource({ kind: "stream", view });
}

/** Whether somebody else chose these settings, and not this page a moment ago. */
function isNews(settings) {
  const mine = JSON.parse(told || "{}");
  const same = Object.keys(settings).every((key) => settings[key] === mine[key]);
  return !same && performance.now() - toldAt > ECHO;
}
