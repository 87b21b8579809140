// What JavaScript might try inside an arena's worker. Each function goes into the worker as its source text, so it can use
// nothing from outside but its argument; one that resolves has succeeded.

/** @param base a path of the server where any request is written down */
export type Attack = (base: string) => unknown;

/** Ways to another machine, other code, storage or devices. As text where vitest would rewrite the code. */
export const attacks: Record<string, Attack | string> = {
  fetch: (base) => fetch(`${base}/fetch`, { mode: "no-cors" }),
  XMLHttpRequest: (base) => {
    const request = new XMLHttpRequest();
    request.open("GET", `${base}/xhr`, false);
    request.send();
  },
  WebSocket: (base) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${base.replace("http", "ws")}/socket`);
      socket.onopen = resolve;
      socket.onerror = reject;
    }),
  EventSource: (base) =>
    new Promise((resolve, reject) => {
      const source = new EventSource(`${base}/events`);
      source.onopen = resolve;
      source.onerror = reject;
    }),
  WebTransport: (base) => new WebTransport(`${base.replace("http:", "https:")}/transport`).ready,
  "import() of an address": "(base) => import(`${base}/module.js`)",
  "import() of data": "() => import('data:text/javascript,export default 1')",
  "importScripts of an address": (base) => realm("importScripts")(`${base}/script.js`),
  "importScripts of data": () => realm("importScripts")("data:text/javascript,1"),
  eval: () => (0, eval)("1"),
  "the Function constructor": () => new Function("return 1")(),
  "a timer with text": () =>
    new Promise((resolve, reject) => {
      addEventListener("ran", resolve);
      (setTimeout as (code: string) => void)("dispatchEvent(new Event('ran'))");
      setTimeout(reject, 100, new Error("the text did not run"));
    }),
  "a font": (base) => new FontFace("own", `url(${base}/font.woff)`).load(),
  "a compiled stream": (base) => WebAssembly.compileStreaming(fetch(`${base}/wasm`)),
  IndexedDB: () =>
    new Promise((resolve, reject) => {
      const request = indexedDB.open("own");
      request.onsuccess = resolve;
      request.onerror = reject;
    }),
  caches: () => caches.open("own"),
  "the private file system": () => navigator.storage.getDirectory(),
  locks: () => navigator.locks.request("own", () => {}),
  "a GPU": async () => {
    if (!await navigator.gpu.requestAdapter()) throw new Error("no adapter");
  },
  "a service worker": () => navigator.serviceWorker.register("data:text/javascript,1"),
  "a shared worker": (base) => new (realm("SharedWorker") as unknown as typeof Worker)(`${base}/shared.js`),
  "a worker of the server's": (base) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(`${base}/worker.js`);
      worker.onmessage = resolve;
      worker.onerror = reject;
    }),
  "a worker of its own, with network": (base) =>
    new Promise((resolve, reject) => {
      const source = `fetch("${base}/nested").then(() => postMessage(1), () => postMessage(0))`;
      const worker = new Worker(URL.createObjectURL(new Blob([source])));
      worker.onmessage = ({ data }) => data ? resolve(1) : reject(new Error("no network"));
      worker.onerror = reject;
    }),
  "a message to other tabs": () => new BroadcastChannel("canary").postMessage("x"),
};

// Only for the types: inside the worker it is defined by `script`.
declare function realm(name: string): (...values: unknown[]) => unknown;

/** A classic script that tries all attacks and posts `[name, what came of it]` for each, then "done". */
export function script(base: string): string {
  const list = Object.entries(attacks).map(([name, attack]) => `[${JSON.stringify(name)}, ${attack}]`);
  return `const realm = (name) => self[name].bind(self);
    (async () => {
      for (const [name, attack] of [${list}]) {
        const late = new Promise((_, reject) => setTimeout(reject, 1500, new Error("nothing came of it")));
        const got = await Promise.race([(async () => attack(${JSON.stringify(base)}))(), late])
          .then(() => "succeeded", (error) => String(error?.message ?? error?.type ?? error));
        postMessage([name, got]);
      }
      postMessage("done");
    })();`;
}
