// Keeps the site in the browser, so that it starts without a network, and adds the two headers with which WebAssembly may
// use several threads, for web hosts that send none.
//
// The export lists its files with the hashes of their contents. Each time that the page is opened the list is asked for,
// and what has changed is fetched; without a network, or where it is slow, the page opens as it was.

const LIST = "files.json";
const PATIENCE = 4000; // milliseconds in which a changed page may be fetched before the old one opens instead
const CACHE = `nst-fast ${self.registration.scope}`;
const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
let files = null; // path -> hash, of the export that is shown

const addressOf = (path) => new URL(encodeURI(path), self.registration.scope).href;
const keyOf = (path, hashes) => `${addressOf(path)}?hash=${hashes[path]}`;

/** What the page needs in any case; the rest is kept when it is used, or when the page asks for it. */
const isShell = (path) => !/^(networks\/|runtime\/|person\.onnx$)/.test(path);

/** The path below the site's address; null: it is none. */
function pathOf(address) {
  const { origin, pathname } = new URL(address);
  const scope = new URL(self.registration.scope);
  const isOurs = origin === scope.origin && pathname.startsWith(scope.pathname);
  return isOurs ? decodeURIComponent(pathname.slice(scope.pathname.length)) || "index.html" : null;
}

/** A file of an export: the kept one, else from the network, and kept from then on. */
async function read(path, hashes) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(keyOf(path, hashes));
  if (kept) {
    return kept;
  }
  const answer = await fetch(addressOf(path), { cache: "no-cache" });
  if (answer.ok) {
    await cache.put(keyOf(path, hashes), answer.clone());
  }
  return answer;
}

async function keep(paths, hashes) {
  for (const path of paths) {
    const answer = await read(path, hashes);
    if (!answer.ok) {
      throw new Error(`${path}: ${answer.status}`);
    }
  }
}

/** The list of the export that the web host has now, when all that the page needs of it is kept. */
async function update() {
  const answer = await fetch(addressOf(LIST), { cache: "no-cache" });
  if (!answer.ok) {
    throw new Error(`${LIST}: ${answer.status}`);
  }
  const hashes = await answer.clone().json();
  await keep(Object.keys(hashes).filter(isShell), hashes);
  const cache = await caches.open(CACHE);
  await cache.put(addressOf(LIST), answer);
  const wanted = new Set([addressOf(LIST), ...Object.keys(hashes).map((path) => keyOf(path, hashes))]);
  const old = (await cache.keys()).filter(({ url }) => !wanted.has(url));
  await Promise.all(old.map((request) => cache.delete(request)));
  return hashes;
}

/** The list of the export that is kept. */
async function readList() {
  const kept = await (await caches.open(CACHE)).match(addressOf(LIST));
  return kept ? kept.json() : {};
}

async function respond(request, path) {
  files ??= await readList();
  if (!Object.hasOwn(files, path)) {
    return fetch(request);
  }
  const answer = await read(path, files);
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(ISOLATION)) {
    headers.set(name, value);
  }
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}

/** The page is opened: in the newest version, if that can be had quickly. */
async function open(request, path, updating) {
  await Promise.race([updating, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  files = await readList();
  return respond(request, path);
}

self.addEventListener("install", (event) => {
  event.waitUntil(update().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The page asks for the rest once it runs: the networks of all styles, so that each of them works without a network.
self.addEventListener("message", (event) => {
  const rest = (hashes) => Object.keys(hashes).filter((path) => !path.startsWith("runtime/"));
  event.waitUntil(readList().then((hashes) => keep(rest(hashes), hashes)).catch(() => {})); // tried again the next time
});

self.addEventListener("fetch", (event) => {
  const path = event.request.method === "GET" ? pathOf(event.request.url) : null;
  if (path !== null && event.request.mode === "navigate") {
    const updating = update().catch(() => {}); // without a network it stays as it is
    event.waitUntil(updating);
    event.respondWith(open(event.request, path, updating));
  } else if (path !== null && path !== LIST) {
    event.respondWith(respond(event.request, path));
  }
});
