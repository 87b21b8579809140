// Writes samples two indices at a time until it is killed (or has written as many as its second argument says), and a byte on
// stdout for each batch.
import { denoHost } from "../../src/host/deno.ts";
import { openStore } from "../../src/store/store.ts";
import { problems, samples } from "./rows.ts";

const [path, most = "100000"] = Deno.args;
const store = await openStore(denoHost(), path);
await store.addProblems(problems);
const all = samples(Math.min(Number(most), 2000));
for (let i = 0; i < all.length; i += 4) {
  await store.addSamples("a", all.slice(i, i + 4));
  Deno.stdout.writeSync(new Uint8Array([46]));
}
await store.close();
