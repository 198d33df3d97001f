// Images, clips and whole films, as files.

const CLIP_TYPES = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];
const FILM_RATE = 25; // frames a second of a stylized film
const MAX_FILM_SECONDS = 180;
const BITS_PER_SECOND = 8_000_000;
const SEEK_MILLISECONDS = 20_000; // after which a film counts as damaged

/** Hand a file to the browser to be saved. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** The link that saves the style's own file; only a style that was made from an image has one. */
export function offerFile({ name, file }) {
  const link = document.getElementById("save-style");
  link.hidden = !file;
  link.href = file ?? "";
  link.download = `${name}.safetensors`;
}

/** A name of its own for each file, such as wave 2026-05-01 12.30.59.jpg. */
export function fileName(style, suffix) {
  const now = new Date();
  const two = (number) => String(number).padStart(2, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}`;
  return `${style.replace(/[^\p{L}\p{N} _-]+/gu, "_")} ${day} ${time}.${suffix}`;
}

/** Records what a canvas shows; `stop` gives {blob, suffix}. */
export class Recorder {
  constructor(canvas, audioTracks = []) {
    const type = CLIP_TYPES.find((candidate) => globalThis.MediaRecorder?.isTypeSupported(candidate));
    if (!type) {
      throw new Error("this browser cannot record films");
    }
    this.suffix = type.startsWith("video/mp4") ? "mp4" : "webm";
    const tracks = [...canvas.captureStream(30).getTracks(), ...audioTracks];
    // With sound the browser chooses the codecs itself.
    const mimeType = audioTracks.length ? type.split(";")[0] : type;
    this.recorder = new MediaRecorder(new MediaStream(tracks), { mimeType, videoBitsPerSecond: BITS_PER_SECOND });
    this.parts = [];
    this.recorder.ondataavailable = ({ data }) => this.parts.push(data);
    this.recorder.start(1000);
    this.began = performance.now();
  }

  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  stop() {
    return new Promise((resolve) => {
      this.recorder.onstop = () => {
        this.recorder.stream.getVideoTracks().forEach((track) => track.stop());
        resolve({ blob: new Blob(this.parts, { type: this.recorder.mimeType }), suffix: this.suffix });
      };
      this.recorder.stop();
    });
  }
}

/**
 * Stylize a whole film: first every frame, as long as that takes; then they are recorded at the film's own speed with
 * its sound.
 *
 * @param {File} file
 * @param {(source: HTMLVideoElement) => Promise<ImageBitmap>} stylize
 * @param {(fraction: number, text: string) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<{blob: Blob, suffix: string}>}
 */
export async function stylizeFilm(file, stylize, onProgress, signal) {
  const film = document.createElement("video");
  film.src = URL.createObjectURL(file);
  film.preload = "auto";
  try {
    await new Promise((resolve, reject) => {
      film.onloadeddata = resolve;
      film.onerror = () => reject(new Error(`${file.name} is not a film that this browser can play`));
    });
    if (!(film.duration <= MAX_FILM_SECONDS)) {
      throw new Error(`the page takes films of up to ${MAX_FILM_SECONDS / 60} minutes; use nst-fast stylize for longer ones`);
    }
    const frames = await stylizeFrames(film, stylize, onProgress, signal);
    return await recordFrames(film, frames, onProgress, signal);
  } finally {
    URL.revokeObjectURL(film.src);
    film.removeAttribute("src");
  }
}

async function stylizeFrames(film, stylize, onProgress, signal) {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { alpha: false });
  const count = Math.max(1, Math.floor(film.duration * FILM_RATE));
  const frames = []; // as JPEG: pixels would fill the memory
  for (let index = 0; index < count; index++) {
    signal.throwIfAborted();
    onProgress((index / count) * 0.9, `Stylizing frame ${index + 1} of ${count}`);
    await seek(film, (index + 0.5) / FILM_RATE, signal);
    const stylized = await stylize(film);
    canvas.width = stylized.width;
    canvas.height = stylized.height;
    context.drawImage(stylized, 0, 0);
    stylized.close();
    frames.push(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.93 }));
  }
  return frames;
}

/** Rejects where the film cannot be read there, or `signal` is aborted meanwhile. */
export async function seek(film, seconds, signal) {
  const ended = new AbortController(); // takes the listeners away
  const listening = { signal: ended.signal };
  try {
    await new Promise((resolve, reject) => {
      const fail = () => reject(new Error(`the film cannot be read at ${seconds.toFixed(1)} s; it may be damaged`));
      film.addEventListener("seeked", resolve, listening);
      film.addEventListener("error", fail, listening);
      signal.addEventListener("abort", () => reject(signal.reason), listening);
      const timer = setTimeout(fail, SEEK_MILLISECONDS);
      ended.signal.addEventListener("abort", () => clearTimeout(timer));
      film.currentTime = Math.min(seconds, film.duration);
    });
  } finally {
    ended.abort();
  }
}

async function recordFrames(film, frames, onProgress, signal) {
  const first = await createImageBitmap(frames[0]);
  const canvas = Object.assign(document.createElement("canvas"), { width: first.width, height: first.height });
  const context = canvas.getContext("2d", { alpha: false });
  context.drawImage(first, 0, 0);
  await seek(film, 0, signal);
  const sound = await routeSound(film);
  const recorder = new Recorder(canvas, sound.tracks);
  await film.play();
  for (let shown = 0; !film.ended; ) {
    if (signal.aborted) {
      film.pause();
      await recorder.stop();
      sound.close();
      signal.throwIfAborted();
    }
    const index = Math.min(frames.length - 1, Math.floor(film.currentTime * FILM_RATE));
    if (index !== shown) {
      const frame = await createImageBitmap(frames[index]);
      context.drawImage(frame, 0, 0);
      frame.close();
      shown = index;
    }
    onProgress(0.9 + (0.1 * film.currentTime) / film.duration, "Assembling the film");
    await new Promise((resolve) => setTimeout(resolve, 10)); // not an animation frame: those stop in a hidden tab
  }
  const result = await recorder.stop();
  sound.close();
  return result;
}

/** The film's sound as tracks to record, and no longer in the loudspeaker. */
async function routeSound(film) {
  const stream = film.captureStream?.() ?? film.mozCaptureStream?.();
  if (!stream?.getAudioTracks().length) {
    film.muted = true;
    return { tracks: [], close() {} };
  }
  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  context.createMediaElementSource(film).connect(destination);
  return { tracks: destination.stream.getAudioTracks(), close: () => context.close() };
}
