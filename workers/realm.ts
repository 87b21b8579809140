// Imported for its effect, before Pyodide: takes from a worker's realm all that is not computation. Should a program get
// from Python into JavaScript, it finds a realm without network, storage, devices or a way to start more code.
//
// A list of what stays, not of what goes: browsers add a new way out every year.

const language =
  "globalThis Infinity NaN undefined Object Function Array Boolean Number BigInt String Symbol Math JSON Date RegExp Intl " +
  "Promise Proxy Reflect Iterator Map Set WeakMap WeakSet WeakRef FinalizationRegistry DisposableStack AsyncDisposableStack " +
  "Error AggregateError EvalError RangeError ReferenceError SuppressedError SyntaxError TypeError URIError Temporal " +
  "ArrayBuffer SharedArrayBuffer Atomics DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array " +
  "Uint32Array BigInt64Array BigUint64Array Float16Array Float32Array Float64Array WebAssembly eval isFinite isNaN " +
  "parseFloat parseInt decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape";

// What Pyodide, Emscripten and our own code use of the platform, and values such as streams and events that do nothing by
// themselves. postMessage is the only way out, to the frame's relay; the last two are numbers that cannot be deleted.
const platform =
  "self console performance crypto location origin isSecureContext crossOriginIsolated setTimeout clearTimeout " +
  "queueMicrotask structuredClone atob btoa TextEncoder TextDecoder URL URLSearchParams Blob Response Headers ReadableStream " +
  "WritableStream TransformStream CompressionStream DecompressionStream MessageChannel MessagePort MessageEvent Event " +
  "EventTarget ErrorEvent AbortController AbortSignal DOMException addEventListener removeEventListener dispatchEvent " +
  "postMessage WorkerGlobalScope DedicatedWorkerGlobalScope constructor TEMPORARY PERSISTENT";

/** The names a scrubbed realm may still have. */
export const keptNames: ReadonlySet<string> = new Set(`${language} ${platform}`.split(" "));

// The powers of a worker are getters and methods of its global object's prototypes.
for (let owner: object = globalThis; owner !== Object.prototype; owner = Object.getPrototypeOf(owner)) {
  for (const name of Object.getOwnPropertyNames(owner)) {
    if (!keptNames.has(name)) delete (owner as Record<string, unknown>)[name];
  }
}
// A blob with an address could be imported or started as a worker.
for (const name of ["createObjectURL", "revokeObjectURL"]) delete (URL as unknown as Record<string, unknown>)[name];

/** A calendar in UTC: the time zone of the page's computer would reach programs through localtime and mktime. */
class UtcDate extends Date {
  constructor(...parts: number[]) {
    super(...(parts.length > 1 ? [Date.UTC(...(parts as [number, number]))] : parts) as []);
  }
  override getTimezoneOffset() {
    return 0;
  }
}
const parts = ["Date", "Day", "FullYear", "Hours", "Milliseconds", "Minutes", "Month", "Seconds"];
const methods = UtcDate.prototype as unknown as Record<string, unknown>;
for (const part of parts) {
  methods[`get${part}`] = methods[`getUTC${part}`];
  methods[`set${part}`] = methods[`setUTC${part}`];
}
globalThis.Date = UtcDate as unknown as DateConstructor;
