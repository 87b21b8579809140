// Programs made to break an interpreter rather than a rule: too deep, too large, too long.

import { below, pick, type Uniform } from "./random.ts";

/** Source text nested deeper than a parser likes. */
export function nested(uniform: Uniform): string {
  const depth = Math.round(10 ** (1 + 3.5 * uniform()));
  const few = Math.min(depth, 120);
  return pick(uniform, [
    () => `def f(x):\n    return ${"(".repeat(depth)}x${")".repeat(depth)}\n`,
    () => `def f(x):\n    return ${"[".repeat(depth)}x${"]".repeat(depth)}\n`,
    () => `def f(x):\n    return ${"-".repeat(depth)}x\n`,
    () => `def f(x):\n    return ${"not ".repeat(depth)}x\n`,
    () => `def f(x):\n    return ${Array(depth).fill("x").join("+")}\n`,
    () => `def f(x):\n    return x${".y".repeat(depth)}\n`,
    () => `def f(x):\n    return ${"lambda: ".repeat(depth)}x\n`,
    () =>
      `def f(x):\n${Array.from({ length: few }, (_, i) => `${" ".repeat(i + 1)}if x:\n`).join("")}${
        " ".repeat(few + 1)
      }return 1\n`,
    () => `def f(x):\n    return x\n${"f = (lambda g: lambda x: g(x))(f)\n".repeat(Math.min(depth, 3000))}`,
    () => `def f(x):\n    return eval("(" * ${depth} + "x" + ")" * ${depth})\n`,
    () => `x = ${"{1:".repeat(few)}1${"}".repeat(few)}\ndef f(x):\n    return x\n`,
    () =>
      `${"class A:\n".repeat(1)}${Array.from({ length: few }, (_, i) => `${" ".repeat(i + 1)}class A:\n`).join("")}${
        " ".repeat(few + 2)
      }pass\n`,
  ])();
}

/** A regular expression and a text it takes for ever on, or a while. */
export function regex(uniform: Uniform): string {
  const length = 10 + below(uniform, 40);
  const pattern = pick(uniform, [
    "(a+)+$",
    "(a|aa)+$",
    "(.*a){15}",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(x+x+)+y",
    "(?:a?){30}a{30}",
    "((a*)*)*b",
  ]);
  return `import re\ndef f(x):\n    return bool(re.match(r'${pattern}', '${
    pick(uniform, ["a", "x"])
  }' * ${length} + '!'))\n`;
}

export function allocation(uniform: Uniform): string {
  const power = 6 + below(uniform, 5);
  return `def f(x):\n` + pick(uniform, [
    `    xs = []\n    while True:\n        xs.append('x' * 10**${Math.min(power, 7)})\n`,
    `    return len('ab' * 10**${power})\n`,
    `    return [0] * 10**${power}\n`,
    `    d = {}\n    for i in range(10**${power}):\n        d[i] = [i] * 50\n    return len(d)\n`,
    `    return 10**10**${power - 2} % 7\n`,
    `    return bytearray(10**${power})[0]\n`,
    `    xs = [1]\n    for i in range(60):\n        xs = xs + xs\n    return xs\n`,
    `    try:\n        while True:\n            x = [x, x, 'y' * 100000]\n    except MemoryError:\n        return 1\n`,
    `    with open('/tmp/big', 'wb') as file:\n        while True:\n            file.write(bytes(1 << 16))\n`,
    `    return '%${power}00d' % x\n`,
    `    return str(1 << ${10 ** Math.min(power, 7)})\n`,
  ]);
}

export function recursion(uniform: Uniform): string {
  return pick(uniform, [
    `def f(x):\n    return f(x + 1)\n`,
    `import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    return f(x + 1)\n`,
    `def f(x):\n    try:\n        return f(x + 1)\n    except RecursionError:\n        return f(x + 1)\n`,
    `class A:\n    def __getattr__(self, name):\n        return getattr(self, name + 'x')\ndef f(x):\n    return A().y\n`,
    `def f(x):\n    xs = []\n    for _ in range(10**${
      4 + below(uniform, 3)
    }):\n        xs = [xs]\n    return repr(xs)\n`,
    `class A:\n    def __eq__(self, other):\n        return self == other\ndef f(x):\n    return A() == A()\n`,
    `class A:\n    def __repr__(self):\n        return repr(self)\ndef f(x):\n    a = A()\n    return a\n`,
    `def f(x):\n    def g():\n        yield from g()\n    return list(g())\n`,
    `import json\ndef f(x):\n    return json.loads('[' * 10**${3 + below(uniform, 3)})\n`,
    `def f(x):\n    d = {}\n    d[0] = d\n    return d == d.copy()\n`,
    `import functools\ndef f(x):\n    return functools.reduce(lambda g, _: lambda x: g(x), range(10**5), abs)(x)\n`,
  ]);
}

/** Most run out of steps or output; the last few can only be killed. */
export function endless(uniform: Uniform): string {
  const loops = [
    `    while True:\n        pass\n`,
    `    while True:\n        try:\n            while True: pass\n        except BaseException:\n            pass\n`,
    `    while True:\n        print('x' * 1000)\n`,
    `    import time\n    while time.time() < 2e9:\n        time.sleep(1)\n`,
    `    for i in iter(int, 1):\n        x += i\n`,
    `    import sys\n    while True:\n        sys.stdout.write(str(x))\n`,
    `    import itertools\n    return [y for y in itertools.count() if y < 0]\n`,
    `    while True:\n        yield_ = (lambda: x)()\n`,
  ];
  const kills = [`    return sum(range(10**12))\n`, `    import itertools\n    return 5 in itertools.repeat(0)\n`];
  return `def f(x):\n${pick(uniform, uniform() < 0.1 ? kills : loops)}`;
}
