import { beforeAll } from "vitest";
import { spawnWorkerArena } from "../../workers/browser_arena.ts";
import { testEscapes } from "../trace/check_escapes.ts";
import { arenaAssets, browserPool } from "./pool.ts";

// The arena that makes the image keeps files of its boot; the others are all alike.
beforeAll(async () => (await spawnWorkerArena(await arenaAssets())).kill());

testEscapes(browserPool().run);
