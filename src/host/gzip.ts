/** gzip by the web's own stream, so that Deno and browsers run the same code. */

/** Unpacks gzip bytes; error `Cannot unpack gzip data: …` on anything else, also on a file cut short. */
export async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  const unpacked = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  } catch (error) {
    throw new Error(`Cannot unpack gzip data: ${(error as Error).message}`);
  }
}

/** True if the bytes start with gzip's two magic bytes: a `.gz` name may lie, the bytes don't. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}
