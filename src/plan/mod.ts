export * from "./tensor.ts";
export * from "./device.ts";
export * from "./store.ts";
export * from "./plan.ts";
export { type Executable, compile } from "./executable.ts";
export { describe, amount } from "./describe.ts";
export { planMemory } from "./memory.ts";
export { formatProfile, type ProfileRow } from "./profile.ts";
