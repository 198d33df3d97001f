// Stylizes on the computer that the page comes from: frames go over a WebSocket as JPEG, and come back stylized.
//
// From the page: {type: "stylize", number, bitmap, style, smoothing, coherence, look}. To the page: {type: "stylized", number,
// source, stylized, jpeg}, {type: "dropped", number}, {type: "failed", number, reason}, {type: "state", open, why}.

const JPEG_QUALITY = 0.9;
const NUMBER_BYTES = 4;
const CLOSED_IDLE = 4000; // the server's code; it is not gone, and the next frame connects again

const address = new URL("api/frames", location.origin);
address.protocol = address.protocol.replace("http", "ws");
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false });
const waiting = new Map(); // number -> the bitmap that was sent
let socket = null;
let settled = null; // promise: the socket is open, or never will be
let asleep = false;
let sentSettings = "";
let patience = 500; // milliseconds until the next try

function connect() {
  asleep = false;
  const mine = new WebSocket(address);
  socket = mine;
  let opened = false;
  settled = new Promise((resolve) => {
    mine.addEventListener("open", resolve);
    mine.addEventListener("close", resolve);
  });
  mine.binaryType = "arraybuffer";
  mine.onopen = () => {
    opened = true;
    sentSettings = "";
    patience = 500;
    postMessage({ type: "state", open: true });
  };
  mine.onmessage = (event) => (typeof event.data === "string" ? explain(event.data) : receive(event.data));
  mine.onclose = async ({ code }) => {
    drop(() => true);
    if (code === CLOSED_IDLE) {
      asleep = true;
      return;
    }
    postMessage({ type: "state", open: false, why: opened ? "unknown" : await findReason() });
    setTimeout(connect, patience);
    patience = Math.min(4000, patience * 2);
  };
}

/** Why the server did not open the WebSocket. */
async function findReason() {
  const answer = await fetch("api/styles").catch(() => null);
  return answer?.status === 401 ? "token" : answer?.ok ? "busy" : "unknown";
}

function drop(which) {
  for (const [number, bitmap] of waiting) {
    if (which(number)) {
      waiting.delete(number);
      bitmap.close();
      postMessage({ type: "dropped", number });
    }
  }
}

function fail(number, reason) {
  waiting.get(number)?.close();
  waiting.delete(number);
  postMessage({ type: "failed", number, reason });
}

function explain(text) {
  const { error, frame } = JSON.parse(text);
  if (frame !== null) {
    drop((number) => number < frame);
  }
  fail(frame, error);
}

async function receive(data) {
  const number = new DataView(data).getUint32(0);
  const source = waiting.get(number);
  waiting.delete(number);
  // The server stylizes the latest frame only: older ones will not come any more.
  drop((other) => other < number);
  if (!source) {
    return;
  }
  try {
    const jpeg = new Blob([data.slice(NUMBER_BYTES)], { type: "image/jpeg" });
    const stylized = await createImageBitmap(jpeg);
    postMessage({ type: "stylized", number, source, stylized, jpeg }, [source, stylized]);
  } catch {
    source.close();
    fail(number, "A frame came back damaged.");
  }
}

async function send({ number, bitmap, style, smoothing, coherence, look }) {
  if (asleep) {
    connect();
  }
  await settled;
  if (socket.readyState !== WebSocket.OPEN) {
    bitmap.close();
    postMessage({ type: "dropped", number });
    return;
  }
  const settings = JSON.stringify({ style, smoothing, coherence, look });
  if (settings !== sentSettings) {
    sentSettings = settings;
    socket.send(settings);
  }
  waiting.set(number, bitmap);
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  context.drawImage(bitmap, 0, 0);
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
  const head = new DataView(new ArrayBuffer(NUMBER_BYTES));
  head.setUint32(0, number);
  if (socket.readyState === WebSocket.OPEN) {
    socket.send(new Blob([head, jpeg]));
  }
}

onmessage = ({ data }) => send(data).catch((error) => fail(data.number, `A frame could not be sent (${error.message}).`));

connect();
