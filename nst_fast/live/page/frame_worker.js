// A worker that takes bitmaps and gives them back with their stylized versions, as the page sees it.

export class FrameWorker {
  /**
   * @param {string} script of the worker
   * @param {number} depth how many frames may be under way at once
   * @param {(state: {open: boolean, why?: string, reason?: string}) => void} onState `why` it is closed: "token",
   *     "busy" or nothing known; `reason`: an error in words
   */
  constructor(script, depth, onState) {
    this.depth = depth;
    this.open = false;
    this.onState = onState;
    this.waiting = new Map(); // number -> how to settle its promise
    this.number = 0;
    this.worker = new Worker(new URL(script, import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#receive(data);
    this.worker.onerror = (event) => this.#receive({ type: "broken", reason: event.message || "the worker did not start" });
  }

  get busy() {
    return this.waiting.size >= this.depth;
  }

  /** Resolves to {source, stylized, jpeg?}, or to null for a frame that a later one overtook; rejects where it failed. */
  stylize(bitmap, settings) {
    this.number = (this.number + 1) % 2 ** 32;
    const number = this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ type: "stylize", number, bitmap, ...settings }, [bitmap]);
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

  #receive(message) {
    if (message.type === "state" || message.type === "broken") {
      this.open = message.type === "state" && message.open;
      this.onState({ open: this.open, why: message.why, reason: message.reason });
      return;
    }
    const promise = this.waiting.get(message.number);
    this.waiting.delete(message.number);
    if (message.type === "failed") {
      promise ? promise.reject(new Error(message.reason)) : this.onState({ open: this.open, reason: message.reason });
    } else {
      promise?.resolve(message.type === "stylized" ? { source: message.source, stylized: message.stylized, jpeg: message.jpeg } : null);
    }
  }
}
