import { describe, expect, test } from "vitest";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();

// Each tries to get out or to cheat; `f(5)` must be 5 to pass, and no attempt is an honest way to 5.
const attempts: [string, string][] = [
  ["import js", "import js\ndef f(x): return js.eval('5')"],
  ["pyodide.code.run_js", "def f(x):\n  from pyodide.code import run_js\n  return run_js('5')"],
  [
    "the core module by its init table",
    "import _imp\nfrom importlib.machinery import ModuleSpec\ndef f(x):\n  m = _imp.create_builtin(ModuleSpec('_pyodide_core', None))\n  return m.to_js([5])[0]",
  ],
  [
    "another module's loader",
    "import math\ndef f(x):\n  return math.__loader__.load_module('_pyodide_core').to_js([5])[0]",
  ],
  ["ctypes", "import ctypes\ndef f(x): return ctypes.CDLL(None).emscripten_run_script_int(b'5')"],
  [
    "_ctypes by its init table",
    "import _imp\nfrom importlib.machinery import ModuleSpec\ndef f(x):\n  return _imp.create_builtin(ModuleSpec('_ctypes', None)).sizeof(None)",
  ],
  [
    "a JsProxy found in memory",
    "import gc\ndef f(x):\n  for o in gc.get_objects():\n    if 'JsProxy' in type(o).__name__: return o.constructor.constructor('return 5')()",
  ],
  [
    "a JsException made from its class",
    "def subs(c):\n  for s in type.__subclasses__(c):\n    yield s\n    yield from subs(s)\ndef f(x):\n  for c in subs(Exception):\n    if 'JsException' in c.__name__: return c('x').constructor.constructor('return 5')()",
  ],
  ["_testcapi", "import _testcapi\ndef f(x): return 5"],
  ["os.system", "import os\ndef f(x):\n  os.system('true')\n  return 5"],
  ["a socket", "import socket\ndef f(x):\n  socket.create_connection(('127.0.0.1', 80))\n  return 5"],
  ["a subprocess", "import subprocess\ndef f(x):\n  subprocess.run(['true'])\n  return 5"],
  ["overwriting the library", "def f(x):\n  open('/lib/python314.zip', 'wb').write(b'x')\n  return 5"],
  ["making the library writable", "import os\ndef f(x):\n  os.chmod('/lib/python314.zip', 0o777)\n  return 5"],
  [
    "crafted bytecode",
    "def g(): pass\ng.__code__ = g.__code__.replace(co_code=b'\\x99\\xff' * 20)\ndef f(x):\n  g()\n  return 5",
  ],
  [
    "a number with its own __eq__",
    "class N(int):\n  def __eq__(s, o): return True\n  __hash__ = int.__hash__\ndef f(x): return N(1)",
  ],
  ["an equal object inside a list", "class N:\n  def __eq__(s, o): return True\ndef f(x): return [N()][0:1].pop()"],
  [
    "a metaclass with __eq__",
    "class M(type):\n  def __eq__(s, o): return True\n  __hash__ = type.__hash__\nclass C(metaclass=M): pass\ndef f(x): return C",
  ],
  ["leaving before the comparison", "import os\ndef f(x): os._exit(0)"],
  ["leaving by SystemExit", "def f(x): raise SystemExit(0)"],
  [
    "printing a result line",
    'import os\ndef f(x):\n  os.write(1, b\'{"test": {"index": 0, "outcome": "PASS"}}\\n\')\n  return 7',
  ],
  [
    "writing the answer file and leaving",
    'import os\ndef f(x):\n  open(\'/run/out\', \'w\').write(\'{"stage":"run","verdict":null,"tests":[]}\')\n  os._exit(0)',
  ],
  [
    "reading the expected value in the request",
    "import json\ndef f(x):\n  test = json.load(open('/run/in'))['tests'][0]\n  return int(test.split('== ')[1])",
  ],
  [
    "importing the harness",
    "import etalon_harness as h\nh.Run.case = lambda run, index, *rest: run.settle(index, 'pass', None)\ndef f(x): return 7",
  ],
  [
    "importing the comparison",
    "import sys\nfor name in list(sys.modules):\n  if 'judge' in name: sys.modules[name].require_plain = lambda v: None\n" +
    "class N:\n  def __eq__(s, o): return True\n" +
    "for name in list(sys.modules):\n  if 'harness' in name: sys.modules[name].require_plain = lambda v: None\n" +
    "def f(x): return N()",
  ],
  [
    "the globals of the harness's entry",
    "import sys\nspace = sys._etalon.__globals__\n" +
    "space['Run'].case = lambda run, index, *rest: run.settle(index, 'pass', None)\ndef f(x): return 7",
  ],
  [
    "the answer's writer, behind sys.stdout",
    'import sys\nanswer = \'{"stage": "run", "verdict": null, "error": null, "where": [null], "trace": null, \' \\\n' +
    '  \'"tests": [{"index": 0, "outcome": "PASS", "verdict": "pass", "source": "f(5)", "steps": 1}]}\'\n' +
    "sys.stdout.write.__func__.__globals__['to_json'] = lambda value: answer\ndef f(x): return 7",
  ],
  [
    "the engine's builtins, behind sys.stdout",
    "import sys\nsys.stdout.write.__func__.__globals__['__builtins__']['bool'] = lambda value: True\ndef f(x): return 7",
  ],
  [
    "the engine's builtins, behind the step counter",
    "import sys\nfor tool in range(6):\n" +
    "  old = sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, None)\n" +
    "  if old: old.__func__.__globals__['__builtins__']['bool'] = lambda value: True\ndef f(x): return 7",
  ],
  [
    "forging a whole result with the nonce of the request, and hanging",
    "import json, os\ndef f(x):\n  word = json.load(open('/run/in'))['nonce']\n" +
    "  result = {'id': 'f', 'verdict': 'pass', 'passed': True, 'tests': [], 'infra': False}\n" +
    "  os.write(1, (word + json.dumps({'result': result}) + '\\n').encode())\n  sum(range(10**12))",
  ],
];

describe("a program in the sandbox", () => {
  test.each(attempts)("does not get out or through by %s", async (_name, program) => {
    const result = await pool.run(
      asserts(program, "f", ["assert f(5) == 5"], { limits: { stepsPerTest: 200_000, wallMsPerProgram: 3000 } }),
    );
    expect(result.infra, result.error?.message).toBe(false);
    expect(result.passed, JSON.stringify(result.tests)).toBe(false);
    const next = await pool.run(asserts("def f(x):\n  return x\n", "f", ["assert f(5) == 5"]));
    expect(next.passed, "the next program is unaffected").toBe(true);
  });

  test("leaves nothing behind: builtins, modules, files, random state", async () => {
    const probe = asserts(
      "import random, math, os, sys\ndef f(x):\n  return [len('ab'), math.sqrt(4), os.listdir('/tmp'), random.random(), sys.getrecursionlimit()]\n",
      "f",
      ["assert f(5) == 5"],
    );
    const before = await pool.run(probe);
    await pool.run(asserts(
      "import builtins, math, random, sys\nbuiltins.len = math.sqrt = lambda *a: 9\nrandom.seed(5)\n" +
        "sys.setrecursionlimit(5000)\nopen('/tmp/left', 'w').write('x')\ndef f(x):\n  return 5\n",
      "f",
      ["assert f(5) == 5"],
    ));
    const after = await pool.run(probe);
    expect(before.tests[0].actual).toMatch(/^\[2, 2\.0, \[\], 0\.\d+, 1006\]$/);
    expect(after.tests[0].actual).toBe(before.tests[0].actual);
  });
});

describe("the arena process", () => {
  test("has no permission for anything", async () => {
    // The same flags as the arena, on a module that asks.
    const source = `
      const names = ["read", "write", "net", "env", "run", "ffi", "sys"];
      const states = names.map((name) => Deno.permissions.querySync({ name }).state);
      const tries = [];
      for (const url of ["https://example.invalid/x.ts", "npm:left-pad@1.3.0", "file:///etc/hostname"]) {
        tries.push(await import(url).then(() => "loaded", () => "refused"));
      }
      console.log(JSON.stringify([states, tries]));`;
    const { arenaFlags } = await import("../../src/host/deno_arena.ts");
    const path = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(path, source);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: [...arenaFlags, path] }).output();
    await Deno.remove(path);
    const [states, tries] = JSON.parse(new TextDecoder().decode(stdout) || new TextDecoder().decode(stderr));
    expect(new Set(states)).toEqual(new Set(["prompt"])); // not granted, and --no-prompt turns asking into a refusal
    expect(tries).toEqual(["refused", "refused", "refused"]);
  });
});
