// Keeps a page on air: stylized frames go to the server, the newest first. While the page is hidden it also ticks, since
// browsers stop the page's own clocks then, but not those of workers.
//
// From the page: {type: "frame", jpeg or bitmap}, {type: "settings", text}, {type: "hidden", hidden}. To the page:
// {type: "state", open}, {type: "ended", reason}, {type: "viewers", viewers}, {type: "change", settings}, {type: "tick"}.

const JPEG_QUALITY = 0.9;
const TELL_AGAIN = 20000; // milliseconds: a connection that says nothing for a minute is closed
const TICK = 33;
const ENDED = { 4001: "another page is on air now", 4002: "the camera of the server is on air" };

const address = new URL("api/stream/source", location.origin);
address.protocol = address.protocol.replace("http", "ws");
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false });
let socket = null;
let settings = "";
let newest = null; // {jpeg} or {bitmap}, not sent yet
let last = null; // the JPEG that was sent last
let sending = false;
let ticking = null;

function connect() {
  socket = new WebSocket(address);
  socket.onopen = () => {
    postMessage({ type: "state", open: true });
    tell();
    newest ??= last && { jpeg: last };
    pump();
  };
  socket.onmessage = ({ data }) => {
    const { viewers, change } = JSON.parse(data);
    if (viewers !== undefined) {
      postMessage({ type: "viewers", viewers });
    }
    if (change) {
      postMessage({ type: "change", settings: change });
    }
  };
  socket.onclose = ({ code }) => {
    if (ENDED[code]) {
      postMessage({ type: "ended", reason: ENDED[code] });
      return;
    }
    postMessage({ type: "state", open: false });
    setTimeout(connect, 1000);
  };
}

function tell() {
  if (socket.readyState === WebSocket.OPEN && settings) {
    socket.send(settings);
  }
}

async function pump() {
  if (sending) {
    return;
  }
  sending = true;
  while (newest && socket.readyState === WebSocket.OPEN) {
    if (socket.bufferedAmount) {
      await new Promise((resolve) => setTimeout(resolve, 5)); // a newer frame may come meanwhile
      continue;
    }
    const frame = newest;
    newest = null;
    last = frame.jpeg ?? (await encode(frame.bitmap));
    socket.send(last);
  }
  sending = false;
}

function encode(bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}

onmessage = ({ data: message }) => {
  if (message.type === "settings") {
    settings = message.text;
    tell();
  } else if (message.type === "hidden") {
    clearInterval(ticking);
    ticking = message.hidden ? setInterval(() => postMessage({ type: "tick" }), TICK) : null;
  } else {
    newest?.bitmap?.close();
    newest = message;
    pump().catch(() => (sending = false));
  }
};

setInterval(tell, TELL_AGAIN);
connect();
