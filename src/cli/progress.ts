/** What a person sees while a long command runs: one live line on a terminal, a plain log elsewhere. */

export interface Progress {
  /** A line that stays. */
  log(text: string): void;
  /** The state of long work: overwritten on a terminal, logged now and then elsewhere. */
  live(text: string): void;
}

const LOG_EVERY_MS = 15_000;

/** @param terminal overwrite the live line; if missing, where both stdout and stderr are a terminal */
export function terminalProgress(terminal = Deno.stdout.isTerminal() && Deno.stderr.isTerminal()): Progress {
  const encoder = new TextEncoder();
  const print = (text: string) => Deno.stderr.writeSync(encoder.encode(text));
  let width = 0;
  let last = 0;
  return {
    log(text) {
      if (width > 0) print(`\r${" ".repeat(width)}\r`);
      width = 0;
      print(text + "\n");
    },
    live(text) {
      if (!terminal) {
        const now = performance.now();
        if (now - last < LOG_EVERY_MS) return;
        last = now;
        print(text + "\n");
        return;
      }
      const columns = Deno.consoleSize().columns;
      const cut = text.length >= columns ? text.slice(0, columns - 2) + "…" : text;
      print(`\r${cut}${" ".repeat(Math.max(0, width - cut.length))}`);
      width = cut.length;
    },
  };
}

/** 3725 -> "1 h 02 min", 65 -> "1 min 05 s", 5 -> "5 s". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${whole} s`;
}
