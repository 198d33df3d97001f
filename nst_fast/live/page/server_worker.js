// Paints on the computer that the page comes from: frames go over a WebSocket as JPEG, and come back painted.
//
// From the page: {type: "paint", number, bitmap, style, steadiness}. To the page: {type: "painted", number, source,
// painted}, {type: "dropped", number}, {type: "failed", number, reason}, {type: "state", open}.

const JPEG_QUALITY = 0.9;
const NUMBER_BYTES = 4;

const address = new URL("api/paint", location.origin);
address.protocol = address.protocol.replace("http", "ws");
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false });
const waiting = new Map(); // number -> the bitmap that was sent
let socket = null;
let said = "";
let patience = 500;

function connect() {
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    said = "";
    patience = 500;
    postMessage({ type: "state", open: true });
  };
  socket.onmessage = (event) => (typeof event.data === "string" ? hear(event.data) : receive(event.data));
  socket.onclose = () => {
    drop((number) => true);
    postMessage({ type: "state", open: false });
    setTimeout(connect, patience);
    patience = Math.min(4000, patience * 2);
  };
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

function hear(text) {
  const { error, frame } = JSON.parse(text);
  if (frame !== null) {
    drop((number) => number <= frame);
  }
  postMessage({ type: "failed", number: frame, reason: error });
}

async function receive(data) {
  const number = new DataView(data).getUint32(0);
  const source = waiting.get(number);
  waiting.delete(number);
  // The server paints the latest frame only: older ones will not come any more.
  drop((other) => other < number);
  if (source) {
    const painted = await createImageBitmap(new Blob([data.slice(NUMBER_BYTES)], { type: "image/jpeg" }));
    postMessage({ type: "painted", number, source, painted }, [source, painted]);
  }
}

onmessage = async ({ data: { number, bitmap, style, steadiness } }) => {
  if (socket.readyState !== WebSocket.OPEN) {
    bitmap.close();
    postMessage({ type: "dropped", number });
    return;
  }
  const settings = JSON.stringify({ style, steadiness });
  if (settings !== said) {
    said = settings;
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
};

connect();
