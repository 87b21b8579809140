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
