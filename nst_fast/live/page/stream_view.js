// Watches the stream of the server: it asks for a frame when the one before is shown, and gets the newest.

const NUMBER_BYTES = 4;
const ASK_AGAIN = 20000; // milliseconds: a connection that says nothing for a minute is closed
const CLOSED_IDLE = 4000;

export class StreamView {
  /**
   * @param {(bitmap: ImageBitmap) => void} onFrame the bitmap is closed after it
   * @param {(state: {source?: string, settings?: object, problem?: string, error?: string}) => void} onState what the
   *     server tells; without a server a state without a source
   */
  constructor(onFrame, onState) {
    this.onFrame = onFrame;
    this.onState = onState;
    this.number = 0; // of the frame that was shown last
    this.closed = false;
    this.#connect();
    this.timer = setInterval(() => this.#ask(), ASK_AGAIN);
  }

  /** Wish for settings: some of style, smoothing, coherence, look and size. */
  send(settings) {
    if (this.socket.readyState === WebSocket.OPEN && Object.keys(settings).length) {
      this.socket.send(JSON.stringify(settings));
    }
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.socket.close();
  }

  #connect() {
    const address = new URL("api/stream", location.origin);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.number = 0; // a server that was started again counts from the beginning
      this.#ask();
    };
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.#tell(JSON.parse(data)) : this.#show(data));
    this.socket.onclose = ({ code }) => {
      if (this.closed) {
        return;
      }
      if (code !== CLOSED_IDLE) {
        this.#tell({ source: null, settings: {}, problem: null });
      }
      setTimeout(() => !this.closed && this.#connect(), 1000);
    };
  }

  #tell(state) {
    if (!this.closed) {
      this.onState(state);
    }
  }

  #ask() {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ next: this.number }));
    }
  }

  async #show(data) {
    this.number = new DataView(data).getUint32(0);
    try {
      const bitmap = await createImageBitmap(new Blob([data.slice(NUMBER_BYTES)], { type: "image/jpeg" }));
      if (!this.closed) {
        this.onFrame(bitmap);
      }
      bitmap.close();
    } catch {
      // A damaged frame is left out.
    }
    this.#ask();
  }
}
