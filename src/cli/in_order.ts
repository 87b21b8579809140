/** Work on rows of a stream, several at a time, with results handed on in the order of the rows. */

/** So many results may wait for a slower one before them. */
const WINDOW = 128;

/**
 * Runs what `rows` yields, `atOnce` at a time (two a worker: an interpreter that is done finds the next program
 * waiting). `write` gets the results in order, `first` being the number of the first; false from it means that nobody
 * wants more.
 */
export async function inOrder<T extends { index: number }, R>(
  rows: AsyncGenerator<T>,
  run: (row: T) => Promise<R>,
  first: number,
  atOnce: number,
  signal: AbortSignal,
  write: (result: R) => boolean,
): Promise<"done" | "interrupted" | "closed"> {
  const finished = new Map<number, { result: R }>();
  let next = first; // to be written
  let open = true;
  let moved = Promise.withResolvers<void>();
  const ends = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

  async function work() {
    while (open && !signal.aborted) {
      const { value: row, done } = await rows.next();
      if (done) return;
      while (row.index - next >= WINDOW && open && !signal.aborted) await Promise.race([moved.promise, ends]);
      if (!open || signal.aborted) return;
      finished.set(row.index, { result: await run(row) });
      for (let ready = finished.get(next); open && ready; ready = finished.get(++next)) {
        finished.delete(next);
        open = write(ready.result);
      }
      moved.resolve();
      moved = Promise.withResolvers();
    }
  }

  try {
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    await rows.return(undefined);
  }
  return !open ? "closed" : signal.aborted ? "interrupted" : "done";
}
