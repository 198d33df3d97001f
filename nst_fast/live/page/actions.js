// What the buttons do.

import { backend, frameSettings } from "./backends.js";
import { blended, fitBlend } from "./blends.js";
import { fitKnobs, lookText, writeAddress } from "./look.js";
import { hideNotice, say, warn } from "./notices.js";
import { offerRefinement } from "./refining.js";
import { Recorder, fileName, offerFile, save, stylizeFilm } from "./saving.js";
import { closeVideo, explainCamera, listCameras, openCamera, openFilm, openPhoto, scaled } from "./sources.js";
import { change, find, pace, state, video } from "./state.js";
import { startServerCamera } from "./streaming.js";

// ---- sources ----

export function useSource(next) {
  state.source?.bitmap?.close();
  state.source?.view?.close();
  state.frozen?.close();
  state.frozen = null;
  state.source = next;
  const playing = next.kind === "camera" || next.kind === "film";
  find("welcome").hidden = next.kind !== "sample";
  hideNotice();
  find("freeze").disabled = !playing;
  find("record").disabled = !playing && next.kind !== "stream";
  find("compare").disabled = next.kind === "stream"; // the server keeps what was before
  find("freeze").setAttribute("aria-pressed", "false");
  find("film").hidden = next.kind !== "film";
  find("mirror").disabled = next.kind !== "camera";
  find("camera").setAttribute("aria-pressed", String(next.kind === "camera" || next.kind === "stream"));
  if (!playing) {
    closeVideo(video);
  }
  change();
}

export async function startCamera() {
  if (find("cameras").value === "server") {
    startServerCamera();
    return;
  }
  try {
    const stream = await openCamera(video, find("cameras").value);
    const [track] = stream.getVideoTracks();
    track.onended = () => warn("The camera is gone", "It was unplugged or taken away. Plug it in and try again.", startCamera);
    useSource({ kind: "camera" });
    const { deviceId } = track.getSettings();
    const options = (await listCameras()).map((camera, index) => {
      const chosen = camera.deviceId === deviceId;
      return new Option(camera.label || `Camera ${index + 1}`, camera.deviceId, false, chosen);
    });
    const server = state.serverCamera ? [new Option(`nst-fast: ${state.serverCamera}`, "server")] : [];
    find("cameras").replaceChildren(...options, ...server);
  } catch (error) {
    const { title, text } = explainCamera(error);
    warn(title, text, startCamera);
  }
}

export async function openFile(file) {
  try {
    if (file.type.startsWith("video/")) {
      await openFilm(video, file);
      useSource({ kind: "film", file });
    } else {
      useSource({ kind: "photo", bitmap: await openPhoto(file), file });
    }
  } catch (error) {
    warn("This file cannot be opened", `${error.message}.`);
  }
}

// ---- the image ----

/** Turn a button on or off; returns whether it is on. */
export function toggle(id) {
  const pressed = find(id).getAttribute("aria-pressed") !== "true";
  find(id).setAttribute("aria-pressed", String(pressed));
  return pressed;
}

export async function freeze() {
  if (find("freeze").disabled) {
    return;
  }
  if (toggle("freeze")) {
    state.frozen = await scaled(video, pace.longSide);
    video.pause();
  } else {
    state.frozen?.close();
    state.frozen = null;
    video.play();
  }
  change();
}

export function compare() {
  const comparing = toggle("compare");
  find("frame").classList.toggle("comparing", comparing);
  find("divider").hidden = !comparing;
}

export function chooseStyle(name) {
  state.style = state.styles.find((candidate) => candidate.name === name) ?? state.style;
  showStyle();
  change();
}

/** Show what belongs to the style that is chosen, and to its blend. */
export function showStyle() {
  fitBlend(state.style, state.styles);
  fitKnobs(blended(state.style));
  offerFile(state.style);
  offerRefinement(state.style);
  writeAddress(blended(state.style));
}

// ---- saving ----

/** Save the stylized image: of a photo on the server the whole one at its own size, else what is on the screen. */
export async function saveImage() {
  const { name } = blended(state.style);
  if (state.source.kind === "photo" && backend.kind === "server") {
    state.wholePhoto ??= await stylizeWhole(state.source.file, name);
    save(state.wholePhoto, fileName(name, state.wholePhoto.type === "image/png" ? "png" : "jpg"));
  } else {
    const blob = await new Promise((resolve) => find("after").toBlob(resolve, "image/jpeg", 0.95));
    save(blob, fileName(name, "jpg"));
  }
  say("The image was saved.");
}

async function stylizeWhole(file, name) {
  say("Stylizing the photo at its own size …");
  const size = pace.automatic ? "" : `&size=${pace.fixed}`; // the strokes on the screen
  const look = lookText(blended(state.style));
  const query = `style=${encodeURIComponent(name)}${size}${look && `&${look}`}`;
  const answer = await fetch(`api/stylize?${query}`, { method: "POST", body: file });
  if (!answer.ok) {
    throw new Error((await answer.text()).trim());
  }
  return answer.blob();
}

export async function record() {
  if (find("record").disabled) {
    return;
  }
  if (state.recorder) {
    const finished = state.recorder;
    state.recorder = null;
    const { blob, suffix } = await finished.stop();
    save(blob, fileName(state.style.name, suffix));
    say("The clip was saved.");
  } else {
    state.recorder = new Recorder(find("after"));
  }
  pace.held = Boolean(state.recorder); // a clip has one size
  find("record").setAttribute("aria-pressed", String(Boolean(state.recorder)));
  find("recording").hidden = !state.recorder;
}

export async function saveFilm() {
  const { file } = state.source;
  const longSide = Math.min(pace.automatic ? 960 : pace.longSide, Math.max(video.videoWidth, video.videoHeight));
  const filming = new AbortController();
  state.filming = filming;
  find("progress").hidden = false;
  video.pause();
  const stylize = async (film) => {
    for (;;) {
      filming.signal.throwIfAborted();
      const { worker } = backend;
      const result = worker.open ? await worker.stylize(await scaled(film, longSide), frameSettings(true)) : null;
      if (result) {
        result.source.close();
        return result.stylized;
      }
      await new Promise((resolve) => setTimeout(resolve, 300)); // the server is away for the moment
    }
  };
  const onProgress = (fraction, text) => {
    find("progress-bar").value = fraction;
    find("progress-text").textContent = text;
  };
  try {
    const { blob, suffix } = await stylizeFilm(file, stylize, onProgress, filming.signal);
    save(blob, fileName(`${file.name.replace(/\.[^.]*$/, "")} ${state.style.name}`, suffix));
    say("The film was saved.");
  } catch (error) {
    if (error.name !== "AbortError") {
      warn("The film was not stylized", `${error.message}.`);
    }
  } finally {
    state.filming = null;
    find("progress").hidden = true;
    video.play();
    change();
  }
}
