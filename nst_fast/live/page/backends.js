// Where frames are stylized: by the server, or in the browser. There is one worker at a time.

import { blended } from "./blends.js";
import { FrameWorker } from "./frame_worker.js";
import { lookText, lookValues } from "./look.js";
import { hideNotice, say, warn } from "./notices.js";
import { change, find, hasServer, memory, state } from "./state.js";

export const isOnThisComputer = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const CLOSED = {
  token: ["The server was restarted", "It has a new address: open the one that nst-fast live prints."],
  busy: ["The server is busy", "Too many pages are open. This page tries again by itself."],
  unknown: ["The server does not answer", "nst-fast live has stopped, or is still starting. This page reconnects by itself."],
};

export const backend = {
  kind: null, // "server" | "browser"
  worker: null,
  runtime: null, // where onnxruntime-web's files are; null: there are none
};

/** Name the server as its user knows it. */
export function nameServer() {
  if (!isOnThisComputer) {
    document.querySelector("#backends [value=server] + span").textContent = "On the server";
  }
}

export function useBackend(kind) {
  backend.kind = kind;
  backend.worker?.close();
  hideNotice();
  memory.set("backend", kind);
  for (const label of document.querySelectorAll(".of-server")) {
    label.hidden = kind !== "server";
  }
  document.querySelector(`#backends [value=${kind}]`).checked = true;
  const computer = isOnThisComputer ? "on this computer" : `on ${location.hostname}`;
  find("privacy").textContent =
    kind === "server"
      ? `nst-fast stylizes your images ${computer}. They are sent nowhere else, and not stored.`
      : `This browser stylizes your images. They never leave this page${hasServer ? `, but for one that you use as the style: nst-fast reads that style ${computer}` : ""}.`;
  if (kind === "server") {
    useServer(computer);
  } else {
    useBrowser("gpu" in navigator && new URLSearchParams(location.search).get("provider") !== "wasm" ? "webgpu" : "wasm");
  }
  change();
}

function useServer(computer) {
  backend.worker = new FrameWorker("./server_worker.js", 2, ({ open, why, reason }) => {
    if (reason) {
      say(reason);
    } else if (open) {
      hideNotice();
      say(`Stylizing ${computer}.`);
      change();
    } else {
      warn(...(CLOSED[why] ?? CLOSED.unknown));
    }
  });
}

function useBrowser(provider) {
  say(provider === "webgpu" ? "Preparing WebGPU …" : "Preparing WebAssembly …");
  const worker = new FrameWorker("./browser_worker.js", 1, ({ open, reason }) => {
    if (open) {
      say(provider === "webgpu" ? "Stylizing in this browser, with WebGPU." : "Stylizing in this browser, with WebAssembly, which is slower than WebGPU.");
      change();
    } else if (provider === "webgpu") {
      worker.close();
      useBrowser("wasm");
    } else {
      warn("The browser cannot stylize", reason || "This browser has no WebAssembly.");
    }
  });
  worker.provider = provider;
  worker.load({ runtime: new URL(backend.runtime, document.baseURI).href, provider });
  backend.worker = worker;
}

/** @param {boolean} moving a still image must not depend on earlier frames */
export function frameSettings(moving) {
  const style = blended(state.style);
  return {
    style: style.name,
    smoothing: moving ? Number(find("smoothing").value) : 0,
    coherence: moving ? Number(find("coherence").value) : 0,
    look: lookText(style),
    knobs: lookValues(style),
    adjustable: Boolean(style.adjustable),
    network: style.network && new URL(style.network, document.baseURI).href,
    person: new URL("person.onnx", document.baseURI).href,
  };
}

/** After a failure. WebGPU may fail as late as with the first frame; then WebAssembly takes over. */
export function recover(error) {
  if (backend.kind === "browser" && backend.worker.provider === "webgpu") {
    backend.worker.close();
    useBrowser("wasm");
  } else {
    say(error.message);
  }
}
