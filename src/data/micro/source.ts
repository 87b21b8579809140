/**
 * The micro-Python generator and the bug injector as one Python script. The parts know nothing of imports: they are
 * joined here in order, so that the script runs unchanged in Pyodide and in any CPython from 3.11 on.
 */
import core from "./core.py" with { type: "text" };
import arithmetic from "./families_arithmetic.py" with { type: "text" };
import conditionals from "./families_conditionals.py" with { type: "text" };
import loops from "./families_loops.py" with { type: "text" };
import recursion from "./families_recursion.py" with { type: "text" };
import lists from "./families_lists.py" with { type: "text" };
import listsOrder from "./families_lists_order.py" with { type: "text" };
import strings from "./families_strings.py" with { type: "text" };
import dicts from "./families_dicts.py" with { type: "text" };
import injectTables from "./inject_tables.py" with { type: "text" };
import injectEdits from "./inject_edits.py" with { type: "text" };
import inject from "./inject.py" with { type: "text" };
import generate from "./generate.py" with { type: "text" };

const families = [arithmetic, conditionals, loops, recursion, lists, listsOrder, strings, dicts];

/** Trusted Python text with a function `main(request)`; see generate.py for the requests it answers. */
export const MICRO_SOURCE = [core, ...families, injectTables, injectEdits, inject, generate].join("\n\n");
