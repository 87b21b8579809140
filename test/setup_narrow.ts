// Runs before each test file of project `narrow`: the software adapter takes vectors of 128 bits, so that a subgroup has four
// lanes and not eight. A kernel that counts on one size gives wrong sums in silence.
import "./setup_deno.ts";
Deno.env.set("LP_NATIVE_VECTOR_WIDTH", "128");
