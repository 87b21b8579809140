import { testEscapes } from "./check_escapes.ts";
import { testPool } from "./helpers.ts";

testEscapes(testPool().run);
