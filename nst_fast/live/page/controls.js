// Buttons, keys, menus and dropped files.

import { compare, freeze, openFile, record, saveFilm, saveImage, startCamera, toggle } from "./actions.js";
import { useBackend } from "./backends.js";
import { blended, showShare } from "./blends.js";
import { listenToKeys } from "./keys.js";
import { fitKnobs, wireKnobs, writeAddress } from "./look.js";
import { hideNotice, say } from "./notices.js";
import { discard, keep, pauseOrResume, refine } from "./refining.js";
import { change, find, memory, pace, state } from "./state.js";
import { copyAddress, tellSettings, toggleAir } from "./streaming.js";
import { isOnShelf, useStyleImage } from "./style_images.js";

const BUTTONS = {
  camera: startCamera,
  start: startCamera,
  freeze,
  save: saveImage,
  record,
  film: saveFilm,
  compare,
  mirror: () => memory.set("mirror", String(toggle("mirror"))),
  full: () => (document.fullscreenElement ? document.exitFullscreen() : find("frame").requestFullscreen()),
  help: () => find("help-dialog").showModal(),
  cancel: () => state.filming?.abort(),
  stream: toggleAir,
  "air-copy": copyAddress,
  "air-stop": toggleAir,
  refine,
  "refining-pause": pauseOrResume,
  "refining-keep": keep,
  "refining-discard": discard,
  "notice-close": hideNotice,
};
const SHARES = ["smoothing", "coherence"]; // of what a frame takes over from the frames before
const KEYS = { " ": "freeze", s: "save", r: "record", c: "compare", m: "mirror", f: "full", o: "file", "?": "help" };

export function wireControls() {
  for (const [id, action] of Object.entries(BUTTONS)) {
    find(id).addEventListener("click", () => Promise.resolve().then(action).catch((error) => say(error.message)));
  }
  wireKeys();
  wireMenus();
  wireDrops();
}

/** The menus as they were when the page was last open. */
export function restoreMenus() {
  find("mirror").setAttribute("aria-pressed", String(memory.get("mirror") !== "false"));
  for (const name of SHARES) {
    find(name).value = memory.get(name) ?? find(name).value;
  }
  if (memory.get("size")) {
    find("size").value = memory.get("size");
    find("size").onchange();
  }
}

function wireKeys() {
  listenToKeys(find("keys"), (key) => {
    const radios = [...document.querySelectorAll("#style-list input")];
    const step = { n: 1, p: -1 }[key];
    const index = step ? radios.findIndex((radio) => radio.checked) + step : "123456789".indexOf(key);
    if (step || (key >= "1" && key <= "9")) {
      const radio = radios.at(step ? index % radios.length : index);
      radio?.click();
      if (radios.includes(document.activeElement)) {
        radio?.focus(); // the focus stays with what is chosen
      }
    } else if (KEYS[key]) {
      find(KEYS[key]).click();
    } else {
      return false;
    }
    return true;
  });
  find("keys").checked = memory.get("keys") !== "off";
  find("keys").onchange = () => memory.set("keys", find("keys").checked ? "on" : "off");
}

function wireMenus() {
  find("divider").oninput = () => find("frame").style.setProperty("--split", `${find("divider").value}%`);
  wireFile("file", openFile);
  wireFile("style-image", useStyleImage);
  find("cameras").onchange = startCamera;
  for (const name of SHARES) {
    find(name).onchange = () => {
      memory.set(name, find(name).value);
      change();
    };
  }
  state.afterChange = tellSettings;
  const onKnob = () => {
    showShare();
    fitKnobs(blended(state.style));
    writeAddress(blended(state.style));
    change();
  };
  wireKnobs(onKnob);
  find("blend-with").oninput = find("blend").oninput = onKnob;
  find("size").onchange = () => {
    pace.automatic = find("size").value === "auto";
    pace.fixed = Number(find("size").value);
    memory.set("size", find("size").value);
    change();
  };
  for (const radio of document.querySelectorAll("#backends input")) {
    radio.onchange = () => useBackend(radio.value);
  }
}

function wireDrops() {
  const mark = (place) => {
    for (const id of ["frame", "styles"]) {
      find(id).classList.toggle("dropping", id === place);
    }
  };
  addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(isOnShelf(event) ? "styles" : "frame");
  });
  addEventListener("dragleave", (event) => !event.relatedTarget && mark(null));
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(null);
    take(event.dataTransfer.files[0], isOnShelf(event));
  });
  addEventListener("paste", (event) => take(event.clipboardData.files[0], isOnShelf(event)));
}

function take(file, asStyle) {
  if (file) {
    (asStyle ? useStyleImage : openFile)(file);
  }
}

/** Give the chosen file to a function; the same file may be chosen again. */
function wireFile(id, use) {
  find(id).onchange = () => {
    if (find(id).files[0]) {
      use(find(id).files[0]);
      find(id).value = "";
    }
  };
}
