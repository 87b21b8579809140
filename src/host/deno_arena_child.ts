// The main module of an arena process: frames on standard input and output, no permission for anything else.
// The import order matters: the realm loses its Deno API before Pyodide is even evaluated.

import { port } from "./deno_arena_port.ts";
import "../../workers/realm.ts";
import { openArena } from "../../workers/python.ts";
import type { ToArena } from "../../workers/messages.ts";

const wasm = await port.readBytes();
const stdlib = await port.readBytes();
const image = await port.readBytes();
const answer = await openArena(image.length > 0 ? { wasm, stdlib, image } : { wasm, stdlib }, port.send);
while (answer) {
  const request = await port.readBytes();
  await answer(JSON.parse(new TextDecoder().decode(request)) as ToArena);
}
