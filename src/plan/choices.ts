/**
 * Which variant of an op runs, per adapter and shape class. In order: a forced name (tests, play), what the tuner measured on
 * this adapter, the shipped table for its family, the op's own preference. A name that does not fit is passed over.
 */
import table from "./choices.json" with { type: "json" };

export interface Choices {
  pick(op: string, shapeClass: string, fitting: readonly string[], preferred: string): string;
  /** Forces a variant wherever it fits; null takes the force back. */
  force(op: string, variant: string | null): void;
  /** Takes over what the tuner found: `"<op> <shape class>"` -> variant. */
  learn(tuned: Readonly<Record<string, string>>): void;
  /** All that was taken over. */
  readonly learned: Readonly<Record<string, string>>;
}

/** The shipped table: family -> `"<op> <shape class>"` or `"<op>"` -> variant. */
const SHIPPED: Record<string, Record<string, string>> = table;

export function createChoices(family: string): Choices {
  const shipped = SHIPPED[family] ?? {};
  const forced = new Map<string, string>();
  const learned: Record<string, string> = {};
  return {
    pick(op, shapeClass, fitting, preferred) {
      const key = `${op} ${shapeClass}`;
      const wishes = [forced.get(op), learned[key], shipped[key], shipped[op], preferred];
      return wishes.find((wish) => wish !== undefined && fitting.includes(wish)) ?? fitting[0];
    },
    force(op, variant) {
      if (variant === null) forced.delete(op);
      else forced.set(op, variant);
    },
    learned,
    learn(tuned) {
      Object.assign(learned, tuned);
    },
  };
}
