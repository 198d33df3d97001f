// One way of painting, as the page sees it: a worker that takes bitmaps and gives them back with their paintings.

export class Painter {
  /**
   * @param {string} script of the worker
   * @param {number} depth how many frames may be under way at once
   * @param {(state: {open: boolean, provider?: string, reason?: string}) => void} onState
   */
  constructor(script, depth, onState) {
    this.depth = depth;
    this.open = false;
    this.onState = onState;
    this.waiting = new Map(); // number -> how to settle its promise
    this.number = 0;
    this.worker = new Worker(new URL(script, import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.worker.onerror = (event) => this.#hear({ type: "broken", reason: event.message || "the worker did not start" });
  }

  get busy() {
    return this.waiting.size >= this.depth;
  }

  /** Resolves to {source, painted}, or to null for a frame that a later one overtook. */
  paint(bitmap, how) {
    this.number = (this.number + 1) % 2 ** 32;
    const number = this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ type: "paint", number, bitmap, ...how }, [bitmap]);
    });
  }

  load(message) {
    this.worker.postMessage({ type: "load", ...message });
  }

  close() {
    this.worker.terminate();
    for (const { resolve } of this.waiting.values()) {
      resolve(null);
    }
    this.waiting.clear();
  }

  #hear(message) {
    if (message.type === "state" || message.type === "broken") {
      this.open = message.type === "state" && message.open;
      this.onState({ open: this.open, provider: message.provider, reason: message.reason });
      return;
    }
    const promise = this.waiting.get(message.number);
    this.waiting.delete(message.number);
    if (message.type === "failed") {
      promise ? promise.reject(new Error(message.reason)) : this.onState({ open: this.open, reason: message.reason });
    } else {
      promise?.resolve(message.type === "painted" ? { source: message.source, painted: message.painted } : null);
    }
  }
}
