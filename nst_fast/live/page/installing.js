// The exported site as an app: a service worker keeps it in the browser, see service_worker.js.

import { find } from "./state.js";

const PATIENCE = 20000; // milliseconds in which the first visit waits for the service worker

/** Resolves when the site is kept, or cannot be; the page may be loaded again instead, once, to get its threads. */
export async function keepSite() {
  const container = navigator.serviceWorker;
  if (!container) {
    return; // on http, and where the browser has none
  }
  try {
    const isFirst = !container.controller;
    await container.register("service_worker.js", { updateViaCache: "none" });
    await Promise.race([controlled(container), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    if (isFirst && container.controller && !crossOriginIsolated) {
      location.reload();
      await new Promise(() => {});
    }
  } catch {
    // The browser allows no service worker here, or there is no network: then nothing more is kept.
  }
}

/** Keep the rest, too, once the page has what it needs; unless the visitor saves data. */
export async function keepRest() {
  while (!find("after").dataset.count) {
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  if (!navigator.connection?.saveData) {
    navigator.serviceWorker?.controller?.postMessage("keep");
  }
}

const controlled = (container) =>
  new Promise((resolve) => {
    if (container.controller) {
      resolve();
    } else {
      container.addEventListener("controllerchange", resolve, { once: true });
    }
  });
