// The name under which a host keeps the heap image of a booted interpreter.
export { imageKey } from "../src/trace/python_sources.ts";
