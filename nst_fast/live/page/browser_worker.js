// Stylizes in the browser: the exported network runs in onnxruntime-web, with WebGPU or with WebAssembly.
//
// The messages are those of server_worker.js, and {type: "load", runtime, provider} first. To the page also
// {type: "state", open}.

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

async function stylize({ number, bitmap, network }) {
  const session = await open(network);
  const { width, height } = bitmap;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.drawImage(bitmap, 0, 0);
  const seen = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < pixels.length; from += 4) {
    pixels[to++] = seen.data[from];
    pixels[to++] = seen.data[from + 1];
    pixels[to++] = seen.data[from + 2];
  }
  const images = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
  const outputs = await session.run({ images });
  const stylized = outputs.stylized.data;
  for (let from = 0, to = 0; from < stylized.length; to++) {
    seen.data[to++] = stylized[from++];
    seen.data[to++] = stylized[from++];
    seen.data[to++] = stylized[from++];
  }
  const result = await createImageBitmap(seen);
  postMessage({ type: "stylized", number, source: bitmap, stylized: result }, [bitmap, result]);
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
