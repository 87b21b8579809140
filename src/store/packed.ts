/** JSON as it lies in a store: text of the same value is the same text, long ones are gzipped. */

/** JSON with the keys of every object sorted: equal values give equal text, whoever wrote them. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/** Shorter text is not worth a stream of its own. */
const SHORT = 512;

/** The bytes of a text; from 512 characters on gzipped, which its first two bytes tell. */
export async function pack(text: string): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return text.length < SHORT ? bytes : await through(bytes, new CompressionStream("gzip"));
}

export async function unpack(bytes: Uint8Array): Promise<string> {
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b; // no JSON text starts so
  return new TextDecoder().decode(gzipped ? await through(bytes, new DecompressionStream("gzip")) : bytes);
}

async function through(bytes: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes as Uint8Array<ArrayBuffer>).then(() => writer.close());
  const [out] = await Promise.all([new Response(stream.readable).arrayBuffer(), written]);
  return new Uint8Array(out);
}

/** Ids of tokens as little endian u32. */
export function packTokens(tokens: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * tokens.length));
  tokens.forEach((token, i) => view.setUint32(4 * i, token, true));
  return new Uint8Array(view.buffer);
}

export function unpackTokens(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true));
}
