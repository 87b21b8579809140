/**
 * Who holds which page of the key/value cache. The pages of a prompt are kept by what stands in them and before them, so
 * that sequences with the same beginning share them; they go when nobody uses them and room is wanted. Host side alone.
 */
import { PAGE } from "../../../kernels/mod.ts";

/** A page of a prompt: filled once, then read by all sequences that begin like it. */
interface Prefix {
  readonly key: string;
  readonly page: number;
  readonly parent: Prefix | null;
  /** Sequences that read it, and prefixes that go on from it. */
  users: number;
}

/** The pages of one running sequence. */
export interface Lease {
  /** Full pages of the prompt. */
  readonly shared: Prefix[];
  /** The page with the rest of the prompt, until it has been copied. */
  template: Prefix | null;
  /** Pages of its own, behind the shared ones; the first takes a copy of the template. */
  readonly own: number[];
}

export interface Admission {
  lease: Lease;
  /** Tokens of the prompt that are there already; what follows has to be computed. */
  known: number;
}

export interface Pages {
  /** Pages of a prompt whose last token is fed by the first decoding step; null if there is no room. */
  admit(prompt: readonly number[]): Admission | null;
  /** Takes pages until `length` tokens have room; false if there are none left. */
  extend(lease: Lease, length: number): boolean;
  /** The page of the rest of a prompt has been copied (or is not needed any more). */
  copied(lease: Lease): void;
  release(lease: Lease): void;
  /** Pages that can be had, those of unused prompts included. */
  free(): number;
}

/** Pages 1 to `count` - 1; page 0 belongs to nobody. */
export function createPages(count: number): Pages {
  const unused = Array.from({ length: count - 1 }, (_, i) => count - 1 - i);
  const prefixes = new Map<string, Prefix>(); // in order of last use
  let idle = 0; // prefixes without users

  const hold = (prefix: Prefix) => {
    if (prefix.users++ === 0) idle--;
    prefixes.delete(prefix.key);
    prefixes.set(prefix.key, prefix);
  };
  const letGo = (prefix: Prefix) => {
    if (--prefix.users === 0) idle++;
  };
  /** A page, if need be that of the prompt that has gone unused longest. */
  const take = (): number | null => {
    if (unused.length > 0) return unused.pop()!;
    if (idle === 0) return null;
    for (const prefix of prefixes.values()) {
      if (prefix.users > 0) continue;
      prefixes.delete(prefix.key);
      idle--;
      if (prefix.parent) letGo(prefix.parent);
      return prefix.page;
    }
    return null;
  };
  const release = (lease: Lease) => {
    for (const prefix of lease.shared) letGo(prefix);
    if (lease.template) letGo(lease.template);
    lease.template = null;
    lease.shared.length = 0;
    unused.push(...lease.own.splice(0));
  };

  return {
    admit(prompt) {
      const cached = prompt.length - 1;
      const lease: Lease = { shared: [], template: null, own: [] };
      const made: Prefix[] = [];
      let known = 0;
      let parent: Prefix | null = null;
      let room = true;
      for (let start = 0; start < cached && room; start += PAGE) {
        const end = Math.min(start + PAGE, cached);
        const key: string = `${parent?.page ?? 0}:${prompt.slice(start, end).join()}`;
        let prefix: Prefix | undefined = prefixes.get(key);
        if (prefix) {
          hold(prefix);
          known = end;
        } else {
          const page = take();
          if (page === null) {
            room = false;
            break;
          }
          prefix = { key, page, parent, users: 1 };
          prefixes.set(key, prefix);
          if (parent) parent.users++;
          made.push(prefix);
        }
        if (end - start === PAGE) lease.shared.push(prefix);
        else lease.template = prefix;
        parent = prefix;
      }
      if (room && lease.template) {
        const page = take();
        if (page === null) room = false;
        else lease.own.push(page);
      }
      if (room) return { lease, known };
      release(lease);
      // Pages that nobody has filled must not be found again. The last one made is idle, and its end makes the next one so.
      for (const prefix of made.reverse()) {
        prefixes.delete(prefix.key);
        idle--;
        if (prefix.parent) letGo(prefix.parent);
        unused.push(prefix.page);
      }
      return null;
    },
    extend(lease, length) {
      const wanted = Math.ceil(length / PAGE) - lease.shared.length;
      while (lease.own.length < wanted) {
        const page = take();
        if (page === null) return false;
        lease.own.push(page);
      }
      return true;
    },
    copied(lease) {
      if (lease.template) letGo(lease.template);
      lease.template = null;
    },
    release,
    free: () => unused.length + idle,
  };
}
