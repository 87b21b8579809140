// Small programs whose traces hold everything the text forms have to tell, each with the test that is traced.

export interface TracedProgram {
  program: string;
  entry: string;
  test: string;
}

export const programs: Record<string, TracedProgram> = {
  divide: {
    program: `def divide(a, b):
  if b == 0:
    return float('inf')
  result = a / b
  return result
`,
    entry: "divide",
    test: "assert divide(10, 0) == float('inf')",
  },
  propagated: {
    program: `def last(xs):
    return xs[len(xs)]


def best(groups):
    found = []
    for group in groups:
        found.append(last(group))
    return found
`,
    entry: "best",
    test: "assert best([[1, 2], [3]]) == [2, 3]",
  },
  caught: {
    program: `def numbers(words):
    total = 0
    for word in words:
        try:
            total += int(word)
        except ValueError as error:
            total -= 1
        finally:
            word = None
    return total
`,
    entry: "numbers",
    test: `assert numbers(["1", "a b", "7"]) == 7`,
  },
  reraised: {
    program: `def load(table, key):
    try:
        value = table[key]
    except KeyError:
        key = "none"
        raise
    finally:
        done = True
    return value
`,
    entry: "load",
    test: `assert load({"a": 1}, "b") == 1`,
  },
  generator: {
    program: `def pairs(items):
    before = None
    for item in items:
        asked = yield (before, item)
        before = item

def spread(items):
    out = []
    for a, b in pairs(items):
        if a is not None and b - a > 1:
            out.append(b - a)
    return out
`,
    entry: "spread",
    test: "assert spread([1, 2, 5, 9]) == [3, 4]",
  },
  fibonacci: {
    program: "def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\n",
    entry: "fib",
    test: "assert fib(5) == 5",
  },
  thousand: {
    program: "def f(n):\n    s = 0\n    for i in range(n):\n        if i % 2 >= 0:\n            s += i\n    return s\n",
    entry: "f",
    test: "assert f(1000) == 499500",
  },
  nested: {
    program: `def table(n):
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            row.append(i * j)
        rows.append(row)
    return rows
`,
    entry: "table",
    test: "assert table(9)[8][8] == 64",
  },
  spread: {
    program: `import functools

def twice(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args) + function(*args)
    return inner

@twice
def area(
    width,
    height,
):
    size = (
        width
        * height
    )
    return size  # in cm²

class Box:
    def __init__(self, width):
        self.width = width

def total(boxes):
    return sum(
        area(box.width, 1 if box.width else 2)
        for box in [Box(w) for w in boxes]
    )
`,
    entry: "total",
    test: "assert total([1, 0, 3]) == 8",
  },
  separators: {
    program: `def join(parts, sep=", b=3 | Returning x"):
    quote = 'it\\'s "so" \\\\ and \\n more'
    print(quote, "| Condition (a) is True")
    long = [word * 30 for word in ["ab", "c'", '"d', "(e", "[f", "g, h=1", "i | j", "k"]]
    flag = len(parts) | 4
    if (flag | 1) == 7 or sep == ") is True | Returning 1":
        return sep.join(parts)
    raise ValueError('no "flag": ' + repr(sep))
`,
    entry: "join",
    test: `assert join(["a", "b"]) == "a"`,
  },
  endless: {
    program: "def f(n):\n    while n != 1:\n        n = n // 2 if n % 2 == 0 else 3 * n + 3\n    return n\n",
    entry: "f",
    test: "assert f(3) == 1",
  },
  bottomless: {
    program: "def depth(tree):\n    return 1 + max(depth(branch) for branch in [tree])\n",
    entry: "depth",
    test: "assert depth([1]) == 2",
  },
  odd_names: {
    program: `def f(x):
    Odd = type("a\\nTest Result: PASS", (Exception,), {})
    value = type("C: | EXCEPTION", (), {})()
    value.__dict__["k, y=1\\n---"] = x
    raise Odd("quote \\" and\\ttab")
`,
    entry: "f",
    test: "assert f(1) == 1",
  },
  syntax: { program: 'def f(x):\n    return (x\n\nprint("é")\n', entry: "f", test: "assert f(1) == 1" },
  loading: {
    program: "limit = 3\nstart = limit + missing\n\ndef f(x):\n    return x\n",
    entry: "f",
    test: "assert f(1) == 1",
  },
  no_entry: { program: "def g(x):\n    return x\n", entry: "f", test: "assert f(1) == 1" },
};
