/**
 * Numbers that JSON carries and JavaScript would change: 3.0 becomes 3, integers beyond 2^53 lose digits. Python tells
 * them apart (`isinstance`, `repr`, exact comparison), so a test that holds one is kept as a Python literal instead,
 * in the row schema's own fields for that (`args_repr`, `expected_repr`).
 */

/** A number as it was written. */
export class WrittenNumber {
  constructor(readonly value: number, readonly source: string) {}
}

/** For parseJsonLines: wraps exactly the numbers that would not come out of JSON.stringify as the same Python value. */
export function readFaithfully(value: number, source: string): number | WrittenNumber {
  const isFloat = /[.eE]/.test(source);
  const faithful = isFloat ? Number.isFinite(value) && !Number.isInteger(value) : Number.isSafeInteger(value);
  return faithful ? value : new WrittenNumber(value, source);
}

/** A `{args, expected}` test with each field that holds a wrapped number turned into its `_repr` form. */
export function faithfulTest(test: unknown): unknown {
  if (typeof test !== "object" || test === null || Array.isArray(test)) return plainNumbers(test);
  const entries = Object.entries(test).map(([field, value]) =>
    (field === "args" || field === "expected") && holdsWritten(value)
      ? [`${field}_repr`, pythonLiteral(value)]
      : [field, plainNumbers(value)]
  );
  return Object.fromEntries(entries);
}

/** The value as plain JSON.parse would have given it. */
export function plainNumbers(value: unknown): unknown {
  if (value instanceof WrittenNumber) return value.value;
  if (Array.isArray(value)) return value.map(plainNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainNumbers(item)]));
}

function holdsWritten(value: unknown): boolean {
  if (value instanceof WrittenNumber) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsWritten);
}

/** JSON data as a Python literal. */
export function pythonLiteral(value: unknown): string {
  if (value instanceof WrittenNumber) {
    // Python reads 1e400 as inf just as its JSON reader does, so the source text always stands for the same value.
    return value.source;
  }
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value); // JSON's escapes are all Python escapes too
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`;
  const items = Object.entries(value as object).map(([key, item]) => `${JSON.stringify(key)}: ${pythonLiteral(item)}`);
  return `{${items.join(", ")}}`;
}
