// The page: what is chosen, the loop from source to painting, and what is said when something is wrong.

import { Pace } from "./pace.js";
import { Painter } from "./painter.js";
import { Recorder, fileName, paintFilm, save } from "./saving.js";
import { MOST_PHOTO_SIDE, closeVideo, explainCamera, listCameras, openCamera, openFilm, openPhoto, scaled } from "./sources.js";
import { listenToKeys } from "./keys.js";
import { showStyles } from "./styles.js";
import { watchTraining } from "./training.js";

const find = (id) => document.getElementById(id);
const root = document.documentElement;
const hasServer = root.dataset.server === "yes";
const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
const before = find("before");
const after = find("after");
const pace = new Pace();
const memory = {
  get: (key) => localStorage.getItem(`nst-fast ${key}`),
  set: (key, value) => localStorage.setItem(`nst-fast ${key}`, value),
};

let styles = [];
let style = null;
let source = null; // {kind: "camera" | "photo" | "film" | "sample", bitmap?, file?}
let way = null; // "server" | "browser"
let painter = null;
let runtime = null; // where onnxruntime-web's files are; null: there are none
let frozen = null; // the bitmap that is held
let recorder = null;
let filming = null; // AbortController while a whole film is painted
let painting = null; // the painting of a whole photo, as a file
let lastShown = 0;
let lastFrameTime = -1;
let presented = 0; // frames of the video so far
let wake = () => {};

// ---- what is said ----

function say(text) {
  find("state").textContent = text;
}

function warn(title, text, action, label = "Try again") {
  find("notice-title").textContent = title;
  find("notice-text").textContent = text;
  find("notice-action").hidden = !action;
  find("notice-action").textContent = label;
  find("notice-action").onclick = () => {
    find("notice").hidden = true;
    action();
  };
  find("notice").hidden = false;
}

// ---- the ways of painting ----

function usePainter(wanted) {
  way = wanted;
  painter?.close();
  find("notice").hidden = true;
  memory.set("way", way);
  find("steady-label").hidden = way !== "server";
  document.querySelector(`#ways [value=${way}]`).checked = true;
  find("privacy").textContent =
    way === "server"
      ? "Pictures are painted by nst-fast on this computer. Nothing is sent anywhere else."
      : "Pictures are painted in this browser. They never leave this page.";
  if (way === "server") {
    painter = new Painter("./server_worker.js", 2, ({ open, reason }) => {
      if (reason) {
        say(reason);
      } else if (open) {
        find("notice").hidden = true;
        say("Painting on this computer.");
        change();
      } else {
        warn("The server does not answer", "nst-fast live has ended, or is busy starting. This page goes on by itself as soon as it is there again.");
      }
    });
  } else {
    useBrowser("gpu" in navigator && new URLSearchParams(location.search).get("provider") !== "wasm" ? "webgpu" : "wasm");
  }
  change();
}

function useBrowser(provider) {
  say(provider === "webgpu" ? "Preparing WebGPU …" : "Preparing WebAssembly …");
  const mine = new Painter("./browser_worker.js", 1, ({ open, reason }) => {
    if (open) {
      say(provider === "webgpu" ? "Painting in this browser, with WebGPU." : "This browser has no WebGPU: painting with WebAssembly, which is slower.");
      change();
    } else if (provider === "webgpu") {
      mine.close();
      painter = useBrowser("wasm");
    } else {
      warn("Painting in the browser does not start", reason || "This browser has no WebAssembly.");
    }
  });
  mine.provider = provider;
  mine.load({ runtime: new URL(runtime, document.baseURI).href, provider });
  painter = mine;
  return mine;
}

/** @param {boolean} moving a still picture must not depend on what was painted before it */
function howToPaint(moving) {
  return { style: style.name, steadiness: moving ? Number(find("steadiness").value) : 0, network: style.network && new URL(style.network, document.baseURI).href };
}

/** After a failure with WebGPU, which may come as late as with the first frame: on with WASM. */
function recover(error) {
  if (way === "browser" && painter.provider === "webgpu") {
    painter.close();
    useBrowser("wasm");
  } else {
    say(error.message);
  }
}

// ---- the loop ----

/** Something changed that makes the picture another one. */
function change() {
  pace.restart(performance.now());
  painting = null;
  lastFrameTime = -1;
  wake();
}

const isReady = () => source && !filming && painter?.open && style && !painter.busy && isNew();

async function loop() {
  for (;;) {
    if (isReady()) {
      lastFrameTime = frameTime();
      await paintOne().catch(recover);
    } else {
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, 500);
      });
    }
  }
}

function countFrames() {
  presented += 1;
  wake();
  video.requestVideoFrameCallback ? video.requestVideoFrameCallback(countFrames) : setTimeout(countFrames, 33);
}

function frameTime() {
  return frozen || source.bitmap ? "still" : presented;
}

function isNew() {
  return (frozen || source.bitmap || video.readyState >= 2) && frameTime() !== lastFrameTime;
}

async function paintOne() {
  const from = source;
  const still = frozen ?? source.bitmap;
  const bitmap = await (frozen ? createImageBitmap(frozen) : still ? scaled(still, pace.automatic ? MOST_PHOTO_SIDE : pace.fixed, true) : scaled(video, pace.longSide));
  const began = performance.now();
  painter.paint(bitmap, howToPaint(!still)).then(
    (result) => {
      if (result && from === source) {
        show(result.source, result.painted, from.kind === "camera" && isMirrored());
        pace.count(performance.now(), performance.now() - began);
      }
      result?.source.close();
      result?.painted.close();
      if (!result && still) {
        lastFrameTime = -1; // dropped on the way: a still picture is sent once more
      }
      wake();
    },
    (error) => {
      recover(error);
      wake();
    },
  );
}

function show(unpainted, painted, mirrored) {
  for (const [canvas, bitmap] of [[before, unpainted], [after, painted]]) {
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    const context = canvas.getContext("2d", { alpha: false });
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? bitmap.width : 0, 0);
    context.drawImage(bitmap, 0, 0);
  }
  find("frame").style.setProperty("--aspect", painted.width / painted.height);
  after.dataset.style = style.name;
  after.dataset.count = ++lastShown;
}

function showFigures() {
  const figures = source && !source.bitmap && !frozen ? pace.figures(performance.now()) : null;
  find("figures").hidden = !figures;
  if (figures) {
    find("figures").textContent = `${figures.rate.toFixed(0)} frames/s · ${figures.delay.toFixed(0)} ms · ${after.width} × ${after.height}`;
  }
  if (recorder) {
    const seconds = Math.floor(recorder.seconds);
    find("recorded").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}

// ---- sources ----

function useSource(next) {
  source?.bitmap?.close();
  frozen?.close();
  frozen = null;
  source = next;
  const moving = next.kind === "camera" || next.kind === "film";
  find("welcome").hidden = next.kind !== "sample";
  find("notice").hidden = true;
  find("freeze").disabled = find("record").disabled = !moving;
  find("freeze").setAttribute("aria-pressed", "false");
  find("film").hidden = next.kind !== "film";
  find("mirror").disabled = next.kind !== "camera";
  find("camera").setAttribute("aria-pressed", String(next.kind === "camera"));
  if (next.kind !== "camera" && next.kind !== "film") {
    closeVideo(video);
  }
  change();
}

async function startCamera() {
  try {
    const stream = await openCamera(video, find("cameras").value);
    stream.getVideoTracks()[0].onended = () => warn("The camera is gone", "It was unplugged or taken away. Plug it in and try again.", startCamera);
    useSource({ kind: "camera" });
    const cameras = await listCameras();
    const current = stream.getVideoTracks()[0].getSettings().deviceId;
    find("cameras").replaceChildren(...cameras.map((camera, index) => new Option(camera.label || `Camera ${index + 1}`, camera.deviceId, false, camera.deviceId === current)));
  } catch (error) {
    const { title, text } = explainCamera(error);
    warn(title, text, startCamera);
  }
}

async function openFile(file) {
  try {
    if (file.type.startsWith("video/")) {
      await openFilm(video, file);
      useSource({ kind: "film", file });
    } else {
      useSource({ kind: "photo", bitmap: await openPhoto(file), file });
    }
  } catch (error) {
    warn("This file cannot be painted", `${error.message}.`);
  }
}

// ---- actions ----

const isMirrored = () => find("mirror").getAttribute("aria-pressed") === "true";

function toggle(id) {
  const pressed = find(id).getAttribute("aria-pressed") !== "true";
  find(id).setAttribute("aria-pressed", String(pressed));
  return pressed;
}

async function freeze() {
  if (toggle("freeze")) {
    frozen = await scaled(video, pace.longSide);
    video.pause();
  } else {
    frozen?.close();
    frozen = null;
    video.play();
  }
  change();
}

/** Save the painting: of a photo the whole one at its own size, painted on the server, else what is shown. */
async function savePicture() {
  const name = style.name;
  if (source.kind === "photo" && way === "server") {
    painting ??= await paintWhole(source.file, name);
    save(painting, fileName(name, painting.type === "image/png" ? "png" : "jpg"));
  } else {
    const blob = await new Promise((resolve) => after.toBlob(resolve, "image/jpeg", 0.95));
    save(blob, fileName(name, "jpg"));
  }
  say("The painting was saved.");
}

async function paintWhole(file, name) {
  say("Painting the photo at its own size …");
  const size = pace.automatic ? "" : `&size=${pace.fixed}`; // the strokes that are shown
  const answer = await fetch(`api/stylize?style=${encodeURIComponent(name)}${size}`, { method: "POST", body: file });
  if (!answer.ok) {
    throw new Error((await answer.text()).trim());
  }
  return answer.blob();
}

async function record() {
  if (recorder) {
    const finished = recorder;
    recorder = null;
    const { blob, suffix } = await finished.stop();
    save(blob, fileName(style.name, suffix));
    say("The clip was saved.");
  } else {
    recorder = new Recorder(after);
  }
  pace.held = Boolean(recorder); // a clip has one size
  find("record").setAttribute("aria-pressed", String(Boolean(recorder)));
  find("recording").hidden = !recorder;
}

async function saveFilm() {
  const file = source.file;
  const longSide = Math.min(pace.automatic ? 960 : pace.longSide, Math.max(video.videoWidth, video.videoHeight));
  filming = new AbortController();
  find("progress").hidden = false;
  video.pause();
  try {
    const paint = async (film) => {
      for (;;) {
        filming.signal.throwIfAborted();
        const result = painter.open ? await painter.paint(await scaled(film, longSide), howToPaint(true)) : null;
        if (result) {
          result.source.close();
          return result.painted;
        }
        await new Promise((resolve) => setTimeout(resolve, 300)); // the server is gone for the moment
      }
    };
    const onProgress = (share, text) => {
      find("progress-bar").value = share;
      find("progress-text").textContent = text;
    };
    const { blob, suffix } = await paintFilm(file, paint, onProgress, filming.signal);
    save(blob, fileName(`${file.name.replace(/\.[^.]*$/, "")} ${style.name}`, suffix));
    say("The film was saved.");
  } catch (error) {
    if (error.name !== "AbortError") {
      warn("The film was not painted", `${error.message}.`);
    }
  } finally {
    filming = null;
    find("progress").hidden = true;
    video.play();
    change();
  }
}

function compare() {
  const comparing = toggle("compare");
  find("frame").classList.toggle("comparing", comparing);
  find("divider").hidden = !comparing;
}

function chooseStyle(name) {
  style = styles.find((candidate) => candidate.name === name) ?? style;
  memory.set("style", style.name);
  change();
}

function guarded(action) {
  return () => Promise.resolve(action()).catch((error) => say(error.message));
}

function wire() {
  const actions = {
    camera: startCamera,
    start: startCamera,
    freeze: () => !find("freeze").disabled && freeze(),
    picture: savePicture,
    record: () => !find("record").disabled && record(),
    film: saveFilm,
    compare,
    mirror: () => memory.set("mirror", String(toggle("mirror"))),
    full: () => (document.fullscreenElement ? document.exitFullscreen() : find("frame").requestFullscreen()),
    help: () => find("help-dialog").showModal(),
    cancel: () => filming?.abort(),
    "notice-close": () => (find("notice").hidden = true),
  };
  for (const [id, action] of Object.entries(actions)) {
    find(id).addEventListener("click", guarded(action));
  }
  const byKey = { " ": "freeze", s: "picture", r: "record", c: "compare", m: "mirror", f: "full", o: "file", "?": "help" };
  listenToKeys(find("keys"), (key) => {
    const radios = [...document.querySelectorAll("#style-list input")];
    const step = { n: 1, p: -1 }[key];
    const index = step ? radios.findIndex((radio) => radio.checked) + step : "123456789".indexOf(key);
    if (step || (key >= "1" && key <= "9")) {
      radios.at(step ? index % radios.length : index)?.click();
    } else if (byKey[key]) {
      find(byKey[key]).click();
    } else {
      return false;
    }
    return true;
  });
  find("keys").checked = memory.get("keys") !== "off";
  find("keys").onchange = () => memory.set("keys", find("keys").checked ? "on" : "off");
  find("divider").oninput = () => find("frame").style.setProperty("--split", `${find("divider").value}%`);
  find("file").onchange = () => {
    if (find("file").files[0]) {
      openFile(find("file").files[0]);
      find("file").value = "";
    }
  };
  find("cameras").onchange = startCamera;
  find("steadiness").onchange = change;
  find("size").onchange = () => {
    pace.automatic = find("size").value === "auto";
    pace.fixed = Number(find("size").value);
    memory.set("size", find("size").value);
    change();
  };
  for (const radio of document.querySelectorAll("#ways input")) {
    radio.onchange = () => usePainter(radio.value);
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    find("frame").classList.add("dropping");
  });
  addEventListener("dragleave", (event) => !event.relatedTarget && find("frame").classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    find("frame").classList.remove("dropping");
    if (event.dataTransfer.files[0]) {
      openFile(event.dataTransfer.files[0]);
    }
  });
  setInterval(showFigures, 500);
}

async function start() {
  wire();
  countFrames();
  loop();
  const answer = await fetch(hasServer ? "api/styles" : "styles.json");
  const offer = await answer.json();
  ({ styles, runtime } = offer);
  style = styles.find(({ name }) => name === memory.get("style")) ?? styles[0];
  showStyles(find("style-list"), styles, style, chooseStyle);
  const ways = { server: hasServer, browser: Boolean(runtime) };
  for (const radio of document.querySelectorAll("#ways input")) {
    radio.disabled = !ways[radio.value];
    if (radio.disabled) {
      radio.parentElement.title = hasServer ? "Needs nst-fast live --fetch-runtime once" : "There is no server here";
    }
  }
  find("mirror").setAttribute("aria-pressed", String(memory.get("mirror") !== "false"));
  if (memory.get("size")) {
    find("size").value = memory.get("size");
    find("size").onchange();
  }
  const remembered = memory.get("way");
  usePainter(ways[remembered] ? remembered : hasServer ? "server" : "browser");
  useSource({ kind: "sample", bitmap: await openPhoto(await (await fetch("sample.jpg")).blob()) });
  if (offer.training) {
    watchTraining(find("style-list").querySelector("img"));
  }
  // Asked for only where it was allowed before: a page that opens with a question is a nuisance.
  const permission = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
  if (permission?.state === "granted") {
    startCamera();
  }
}

start().catch((error) => warn("The page does not start", `${error.message}.`, () => location.reload()));
