// Pictures, clips and whole films, as files.

const CLIP_TYPES = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];
const FILM_RATE = 25; // frames a second of a painted film
const MOST_FILM_SECONDS = 180;
const BITS_PER_SECOND = 8_000_000;

/** Hand a file to the browser to be saved. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
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
 * Paint a whole film: first every frame, as long as that takes, then they are recorded at the film's own speed with
 * its sound.
 *
 * @param {File} file
 * @param {(source: HTMLVideoElement) => Promise<ImageBitmap>} paint
 * @param {(share: number, text: string) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<{blob: Blob, suffix: string}>}
 */
export async function paintFilm(file, paint, onProgress, signal) {
  const film = document.createElement("video");
  film.src = URL.createObjectURL(file);
  film.preload = "auto";
  try {
    await new Promise((resolve, reject) => {
      film.onloadeddata = resolve;
      film.onerror = () => reject(new Error(`${file.name} is not a film that this browser can play`));
    });
    if (!(film.duration <= MOST_FILM_SECONDS)) {
      throw new Error(`the page paints films of up to ${MOST_FILM_SECONDS / 60} minutes; nst-fast stylize takes longer ones`);
    }
    const frames = await paintFrames(film, paint, onProgress, signal);
    return await recordFrames(film, frames, onProgress, signal);
  } finally {
    URL.revokeObjectURL(film.src);
    film.removeAttribute("src");
  }
}

async function paintFrames(film, paint, onProgress, signal) {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { alpha: false });
  const count = Math.max(1, Math.floor(film.duration * FILM_RATE));
  const frames = []; // as JPEG: pixels would fill the memory
  for (let index = 0; index < count; index++) {
    signal.throwIfAborted();
    onProgress((index / count) * 0.9, `Painting frame ${index + 1} of ${count}`);
    await seek(film, (index + 0.5) / FILM_RATE);
    const painted = await paint(film);
    canvas.width = painted.width;
    canvas.height = painted.height;
    context.drawImage(painted, 0, 0);
    painted.close();
    frames.push(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.93 }));
  }
  return frames;
}

function seek(film, seconds) {
  return new Promise((resolve) => {
    film.onseeked = resolve;
    film.currentTime = Math.min(seconds, film.duration);
  });
}

async function recordFrames(film, frames, onProgress, signal) {
  const first = await createImageBitmap(frames[0]);
  const canvas = Object.assign(document.createElement("canvas"), { width: first.width, height: first.height });
  const context = canvas.getContext("2d", { alpha: false });
  context.drawImage(first, 0, 0);
  await seek(film, 0);
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
    onProgress(0.9 + (0.1 * film.currentTime) / film.duration, "Putting the film together");
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
