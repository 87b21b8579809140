/** HTML by template, where everything put in is escaped unless it came from a template itself. */

/** Markup that needs no escaping any more. */
export class Markup {
  constructor(readonly text: string) {}
}

/** `markup\`<b>${anything}</b>\``: texts and numbers are escaped, Markup and lists of Markup go in as they are. */
export function markup(parts: TemplateStringsArray, ...values: unknown[]): Markup {
  return new Markup(parts.reduce((text, part, i) => text + toText(values[i - 1]) + part));
}

export function escape(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  // Control characters that HTML does not allow come out of sampled programs; a box shows that something was there.
  // deno-lint-ignore no-control-regex
  return text.replace(/[&<>"']/g, (sign) => entities[sign]).replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, "\ufffd");
}

function toText(value: unknown): string {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(toText).join("");
  return value === undefined || value === null || value === false ? "" : escape(String(value));
}
