/**
 * The micro-Python generator and the bug injector as one Python script. The parts know nothing of imports: they are
 * joined here in order, so that the script runs unchanged in Pyodide and in any CPython from 3.11 on.
 */
import core from "./core.py" with { type: "text" };
import numbers from "./families_numbers.py" with { type: "text" };
import loops from "./families_loops.py" with { type: "text" };
import lists from "./families_lists.py" with { type: "text" };
import strings from "./families_strings.py" with { type: "text" };
import dicts from "./families_dicts.py" with { type: "text" };
import inject from "./inject.py" with { type: "text" };
import generate from "./generate.py" with { type: "text" };

/** Trusted Python text with a function `main(request)`; see generate.py for the requests it answers. */
export const MICRO_SOURCE = [core, numbers, loops, lists, strings, dicts, inject, generate].join("\n\n");
