// A worker whose realm is scrubbed as an arena's is, and then says what is left of it.
import { keptNames } from "../../workers/realm.ts";

const left = new Set<string>();
for (let owner: object = globalThis; owner !== Object.prototype; owner = Object.getPrototypeOf(owner)) {
  for (const name of Object.getOwnPropertyNames(owner)) if (!keptNames.has(name)) left.add(name);
}
postMessage({ left: [...left], addresses: "createObjectURL" in URL });
