// What a full escape from Python would find: JavaScript of its own choosing in the arena's worker. The server writes down
// every request to /canary, so a way out that tells nobody is seen too.

import { beforeAll, describe, expect, test } from "vitest";
import { openSandbox } from "../../workers/sandbox.ts";
import { attacks, script } from "./attacks.ts";
import scrubbed from "./scrubbed_worker.ts?bundle" with { type: "text" };

test("the test page is cross-origin isolated and has a GPU adapter", async () => {
  expect(globalThis.crossOriginIsolated).toBe(true);
  expect(await navigator.gpu.requestAdapter()).not.toBeNull();
});

const canary = (name: string) => `${location.origin}/canary/${name}`;

/** The requests that came in below `/canary/<name>`. */
async function seen(name: string): Promise<string[]> {
  const all: string[] = await (await fetch(canary("list"))).json();
  return all.filter((path) => path.startsWith(`/${name}/`));
}

type Outcomes = Record<string, string>;

/** Runs the attacks and resolves to what came of each; `start` gets the listener for the worker's messages. */
function outcomes(start: (said: (message: unknown) => void) => () => void): Promise<Outcomes> {
  return new Promise((resolve) => {
    const found: Outcomes = {};
    const end = start((message) => {
      if (message === "done") {
        end();
        resolve(found);
      } else {
        const [name, outcome] = message as [string, string];
        found[name] = outcome;
      }
    });
  });
}

const inSandbox = (source: string) =>
  outcomes((said) => {
    const broken = (detail: string) => {
      throw new Error(detail);
    };
    return openSandbox(source, { said, broken }).close;
  });

describe("JavaScript in a sandboxed worker whose realm is not scrubbed", () => {
  let found: Outcomes;
  const heard: unknown[] = [];
  beforeAll(async () => {
    const channel = new BroadcastChannel("canary");
    channel.onmessage = ({ data }) => heard.push(data);
    found = await inSandbox(script(canary("sandbox")));
    channel.close();
  });

  // In an origin of their own these exist and lead nowhere: no other tab or worker has that origin.
  const lonely = ["a message to other tabs"];
  test.each(Object.keys(attacks).filter((name) => !lonely.includes(name)))("is refused %s", (name) => {
    expect(found[name]).toBeTypeOf("string");
    expect(found[name]).not.toBe("succeeded");
  });

  test("sends nothing that the server or the page would see", async () => {
    expect(await seen("sandbox")).toEqual([]);
    expect(heard).toEqual([]);
  });
});

describe("JavaScript in a plain worker of the page", () => {
  test("could do nearly all of it, so the tests above can fail", async () => {
    const found = await outcomes((said) => {
      const worker = new Worker(URL.createObjectURL(new Blob([script(canary("plain"))])));
      worker.onmessage = ({ data }) => said(data);
      return () => worker.terminate();
    });
    const refused = Object.keys(attacks).filter((name) => found[name] !== "succeeded");
    expect(refused.length, JSON.stringify(found)).toBeLessThan(Object.keys(attacks).length / 2);
    const requests = await seen("plain");
    for (const name of ["fetch", "xhr", "socket", "events", "module.js", "font.woff"]) {
      expect(requests).toContain(`/plain/${name}`);
    }
  });
});

describe("the arena's worker", () => {
  test("has nothing left in its realm but what is on the list", async () => {
    const left = await new Promise((resolve, reject) => {
      const sandbox = openSandbox(scrubbed, {
        said: (message) => resolve([message, sandbox.close()][0]),
        broken: reject,
      });
    });
    expect(left).toEqual({ left: [], addresses: false });
  });

  test("lives in a frame that this page cannot look into, and the other way round", async () => {
    const source =
      `try { postMessage([origin, typeof parent, typeof document]); } catch (error) { postMessage([error.name]); }`;
    const found = await new Promise((resolve, reject) => {
      const sandbox = openSandbox(source, { said: (message) => resolve([message, sandbox]), broken: reject });
    }) as [unknown, { close(): void }];
    const frame = [...document.querySelectorAll("iframe")].at(-1)!;
    expect(frame.getAttribute("sandbox")).toBe("allow-scripts");
    expect(frame.contentDocument).toBe(null);
    expect(found[0]).toEqual(["null", "undefined", "undefined"]);
    found[1].close();
    expect(frame.isConnected).toBe(false);
  });
});
