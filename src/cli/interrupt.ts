/** Ctrl-C: the first asks the running work to stop at the next safe point, the second ends the program at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  Deno.addSignalListener("SIGINT", () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort();
  });
  return controller.signal;
}
