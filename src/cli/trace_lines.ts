/** The lines of a file that may be larger than memory, plain or gzipped. */

export interface Line {
  /** 1-based. */
  line: number;
  text: string;
  /** Bytes up to and with its line break, unpacked. */
  end: number;
  /** It has a line break: a last line without one may be half a line. */
  ended: boolean;
}

/** Yields every line, empty ones too. `see` gets the bytes as they are in the file. Errors: `Cannot read <path>: …`. */
export async function* readLines(path: string, see?: (bytes: Uint8Array) => void): AsyncGenerator<Line> {
  const parts: Uint8Array[] = []; // of a line that goes on in the next chunk
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 0;
  let end = 0;
  const take = (ended: boolean): Line => {
    const bytes = parts.length === 1 ? parts[0] : new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    if (parts.length !== 1) {
      let at = 0;
      for (const part of parts.splice(0)) {
        bytes.set(part, at);
        at += part.length;
      }
    }
    parts.length = 0;
    line++;
    end += bytes.length + (ended ? 1 : 0);
    try {
      return { line, text: decoder.decode(bytes), end, ended };
    } catch {
      throw new Error(`Cannot read ${path}: line ${line} is not UTF-8 text`);
    }
  };
  for await (const chunk of unpacked(path, see)) {
    let start = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, at));
      start = at + 1;
      yield take(true);
    }
    if (start < chunk.length) parts.push(chunk.slice(start));
  }
  if (parts.length > 0) yield take(false);
}

async function* unpacked(path: string, see?: (bytes: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    throw new Error(`Cannot read ${path}: ${missing ? "no such file" : (error as Error).message}`);
  }
  const magic = new Uint8Array(2);
  const packed = await file.read(magic) === 2 && magic[0] === 0x1f && magic[1] === 0x8b; // a name may lie
  await file.seek(0, Deno.SeekMode.Start);
  const seen = file.readable.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        see?.(chunk);
        controller.enqueue(chunk);
      },
    }),
  );
  try {
    yield* packed ? seen.pipeThrough(new DecompressionStream("gzip")) : seen;
  } catch (error) {
    throw new Error(`Cannot read ${path}: ${(error as Error).message}`);
  }
}
