import { testEscapes } from "../trace/check_escapes.ts";
import { browserPool } from "./pool.ts";

testEscapes(browserPool().run);
