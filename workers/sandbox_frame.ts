// The script of the sandboxed frame: starts the worker whose source the page sends, and passes messages on between the two.
// The page's first message carries a port; nobody else can speak or listen on it.

export type FrameMessage = { said: unknown } | { broken: string };

function start({ source, data, ports: [port] }: MessageEvent<string>) {
  if (source !== parent || !port) return;
  removeEventListener("message", start);
  // A classic worker: module workers made from a blob die without a word where the origin is opaque.
  const worker = new Worker(URL.createObjectURL(new Blob([data], { type: "text/javascript" })));
  const tell = (message: FrameMessage, transfer: Transferable[] = []) => port.postMessage(message, transfer);
  worker.onmessage = ({ data }) => tell({ said: data }, buffers(data));
  worker.onerror = ({ message }) => tell({ broken: message || "it did not start" });
  port.onmessage = ({ data }) => worker.postMessage(data, buffers(data));
}
addEventListener("message", start);

/** The image of an interpreter has 30 MB: passing it on moves it instead of copying. */
function buffers(message: unknown): Transferable[] {
  return Object.values(message ?? {}).filter(ArrayBuffer.isView).map((view) => view.buffer as ArrayBuffer);
}
