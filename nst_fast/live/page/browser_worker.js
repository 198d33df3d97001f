// Stylizes in the browser: the exported network runs in onnxruntime-web, with WebGPU or with WebAssembly.
//
// The messages are those of server_worker.js, with the look as `knobs`, and {type: "load", runtime, provider} first. To
// the page also {type: "state", open}.

import { measureColors, recolor } from "./colors.js";
import { enlarge, enlargeByGuide } from "./enlarging.js";

const PERSON_SIDE = 256; // pixels, of what the network that finds people takes and gives
const sessions = new Map(); // address of the network -> promise of its session
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
let ort = null;
let provider = "wasm";
let turn = Promise.resolve();

async function load(message) {
  provider = message.provider;
  const file = provider === "webgpu" ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
  ort = await import(new URL(file, message.runtime));
  ort.env.wasm.wasmPaths = message.runtime;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
  ort.env.logLevel = "error";
}

function open(network) {
  if (!sessions.has(network)) {
    forget(network);
    const session = ort.InferenceSession.create(network, {
      executionProviders: [provider],
      logSeverityLevel: 3,
      // Threads that wait go to sleep: the camera and the page need the processor too.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
    session.catch(() => sessions.delete(network));
    sessions.set(network, session);
  }
  return sessions.get(network);
}

/** A network in training comes again and again, each time under its address with another version. */
function forget(network) {
  for (const [address, session] of sessions) {
    if (new URL(address).pathname === new URL(network).pathname) {
      sessions.delete(address);
      session.then((old) => old.release()).catch(() => {});
    }
  }
}

/** The colors of a bitmap at a size: {width, height, data}, three bytes a pixel. */
function readColors(bitmap, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const colors = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < colors.length; from += 4) {
    colors[to++] = data[from];
    colors[to++] = data[from + 1];
    colors[to++] = data[from + 2];
  }
  return { width, height, data: colors };
}

function toImage({ width, height, data }) {
  const image = new ImageData(width, height);
  image.data.fill(255);
  for (let from = 0, to = 0; from < data.length; to++) {
    image.data[to++] = Math.round(data[from++]); // cut to 0 to 255 by the array
    image.data[to++] = Math.round(data[from++]);
    image.data[to++] = Math.round(data[from++]);
  }
  return image;
}

async function stylize({ number, bitmap, network, knobs, adjustable, person }) {
  const { width, height } = bitmap;
  const [smallWidth, smallHeight] = [width, height].map((side) => Math.max(1, Math.round(side / knobs.stroke_size)));
  const small = readColors(bitmap, smallWidth, smallHeight);
  const session = await open(network);
  const images = new ort.Tensor("uint8", small.data, [1, smallHeight, smallWidth, 3]);
  const strength = adjustable ? { strength: new ort.Tensor("float32", [knobs.strength], []) } : {};
  const outputs = await session.run({ images, ...strength });
  const stylized = { ...small, data: outputs.stylized.data };
  const photo = knobs.stroke_size === 1 ? small : readColors(bitmap, width, height);
  const finished = await finish(knobs, photo, small, stylized, person);
  const result = await createImageBitmap(toImage({ width, height, data: finished }));
  postMessage({ type: "stylized", number, source: bitmap, stylized: result }, [bitmap, result]);
}

/** What the look asks for, but for the strength; see nst_fast/stylize/finishing.py. Gives three numbers a pixel. */
async function finish(knobs, photo, small, stylized, person) {
  const { width, height } = photo;
  let result = stylized.data;
  if (knobs.stroke_size > 1) {
    result = enlargeByGuide(stylized, small, photo);
  } else if (knobs.stroke_size < 1) {
    result = readColors(await createImageBitmap(toImage(stylized)), width, height).data;
  }
  if (knobs.keep_color) {
    result = Float32Array.from(result);
    recolor(knobs.keep_color, result, photo, measureColors(stylized), measureColors(small));
  }
  if (!knobs.region) {
    return result;
  }
  return mix(result, photo, await findMask(small, photo, person), knobs.region === "person");
}

/** Where people are, at the size of the photo: 0 to 255. */
async function findMask(small, photo, person) {
  const square = readColors(await createImageBitmap(toImage(small)), PERSON_SIDE, PERSON_SIDE);
  const session = await open(person);
  const images = new ort.Tensor("uint8", square.data, [1, PERSON_SIDE, PERSON_SIDE, 3]);
  const outputs = await session.run({ images });
  return enlarge(outputs.mask.data, PERSON_SIDE, PERSON_SIDE, 1, photo.width, photo.height);
}

function mix(stylized, photo, mask, inside) {
  const result = new Float32Array(photo.data.length);
  for (let at = 0; at < result.length; at++) {
    const level = mask[(at / 3) | 0] / 255;
    result[at] = photo.data[at] + (inside ? level : 1 - level) * (stylized[at] - photo.data[at]);
  }
  return result;
}

onmessage = ({ data: message }) => {
  const work = message.type === "load" ? load : stylize;
  turn = turn
    .then(() => work(message))
    .then(() => message.type === "load" && postMessage({ type: "state", open: true }))
    .catch((error) => {
      const reason = String(error?.message ?? error);
      postMessage(message.type === "load" ? { type: "broken", reason } : { type: "failed", number: message.number, reason });
    });
};
