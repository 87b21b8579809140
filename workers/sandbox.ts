// A Web Worker that can do nothing but compute and talk to this page. The worker lives in a frame of an origin of its own
// whose policy forbids every connection, so that even JavaScript of its own choosing has no network, no storage and no
// access to the page.

import frameScript from "./sandbox_frame.ts?bundle" with { type: "text" };
import type { FrameMessage } from "./sandbox_frame.ts";

export interface Sandbox {
  /** Sends a message to the worker. Its binary arrays are copied. */
  post(message: unknown): void;
  /** Removes frame and worker at once, whatever the worker is doing. */
  close(): void;
}

export interface Listener {
  /** the worker posted a message: what it is, is for the listener to check */
  said(message: unknown): void;
  /** the worker did not start, or an error was not caught in it */
  broken(detail: string): void;
}

// blob: is the worker's own script, wasm-unsafe-eval lets it compile WebAssembly. There is no unsafe-eval, so text does not
// become code, and nothing at all may be connected to. Workers made from a blob inherit the policy.
const policy =
  "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; worker-src blob:; connect-src 'none'";

/** @param workerSource a classic script */
export function openSandbox(workerSource: string, listener: Listener): Sandbox {
  const { port1: port, port2: far } = new MessageChannel();
  port.onmessage = ({ data }: MessageEvent<FrameMessage>) => {
    if ("broken" in data) listener.broken(data.broken);
    else listener.said(data.said);
  };
  const frame = document.createElement("iframe");
  frame.sandbox.add("allow-scripts"); // and no more: without allow-same-origin its origin is opaque
  frame.style.display = "none";
  frame.srcdoc = `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}">` +
    `<script>${frameScript}</script>`;
  // An opaque origin has no name to address it by; the port in the message is for this frame alone.
  frame.onload = () => frame.contentWindow!.postMessage(workerSource, "*", [far]);
  document.body.append(frame);
  return {
    post: (message) => port.postMessage(message),
    close() {
      port.close();
      frame.remove();
    },
  };
}
