export * from "./tensor.ts";
export * from "./device.ts";
export { checkGuards } from "./guard.ts";
export * from "./store.ts";
export * from "./plan.ts";
export { compile, type Executable } from "./executable.ts";
export { amount, describe } from "./describe.ts";
export { planMemory } from "./memory.ts";
export type { ProfileRow } from "./profile.ts";
