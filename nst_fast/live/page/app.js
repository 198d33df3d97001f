// The page begins here: styles, settings, the sample photo, and the camera where it is allowed.

import { chooseStyle, startCamera, useSource } from "./actions.js";
import { backend, nameServer, useBackend } from "./backends.js";
import { blended, fitBlend, readBlend } from "./blends.js";
import { restoreMenus, wireControls } from "./controls.js";
import { fitKnobs, readAddress } from "./look.js";
import { keepRest, keepSite } from "./installing.js";
import { startLoop } from "./loop.js";
import { say, warn } from "./notices.js";
import { findRefinement, offerRefinement } from "./refining.js";
import { offerFile } from "./saving.js";
import { openPhoto } from "./sources.js";
import { find, hasServer, memory, state } from "./state.js";
import { offerServerCamera, startServerCamera } from "./streaming.js";
import { showStyles } from "./styles.js";
import { watchTraining } from "./training.js";

async function start() {
  if (!hasServer) {
    await keepSite();
  }
  nameServer();
  wireControls();
  startLoop();
  const answer = await fetch(hasServer ? "api/styles" : "styles.json");
  if (!answer.ok) {
    throw new Error((await answer.text()).trim());
  }
  const offer = await answer.json();
  state.styles = offer.styles;
  backend.runtime = offer.runtime;
  const named = (wanted) => state.styles.find(({ name }) => name === wanted);
  const asked = readAddress();
  state.style = named(asked) ?? readBlend(asked, state.styles) ?? state.styles[0];
  fitBlend(state.style, state.styles);
  fitKnobs(blended(state.style));
  offerFile(state.style);
  offerRefinement(state.style);
  showStyles(find("style-list"), state.styles, state.style, chooseStyle);
  restoreMenus();
  chooseBackend();
  useSource({ kind: "sample", bitmap: await openPhoto(await (await fetch("sample.jpg")).blob()) });
  if (!hasServer) {
    keepRest();
  }
  if (offer.training) {
    watchTraining(find("style-list").querySelector("img"));
  }
  findRefinement().catch((error) => say(error.message));
  if (offer.camera) {
    offerServerCamera(offer.camera);
    startServerCamera();
    return;
  }
  // Asked for only where it was allowed before: a page that opens with a question is a nuisance.
  const permission = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
  if (permission?.state === "granted") {
    startCamera();
  }
}

function chooseBackend() {
  const available = { server: hasServer, browser: Boolean(backend.runtime) };
  for (const radio of document.querySelectorAll("#backends input")) {
    radio.disabled = !available[radio.value];
    if (radio.disabled) {
      radio.parentElement.title = hasServer ? "Needs nst-fast live --fetch-runtime once" : "This page has no server";
    }
  }
  const remembered = memory.get("backend");
  useBackend(available[remembered] ? remembered : hasServer ? "server" : "browser");
}

start().catch((error) => warn("The page does not start", `${error.message}.`, () => location.reload()));
