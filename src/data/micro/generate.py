# Micro-Python: problems, corpus rows, and the check that runs every one of them.

TESTS = 8  # tests of a problem where enough distinct inputs exist, at least MIN_TESTS
MIN_TESTS = 5
STEP_BUDGET = 2000  # line events per test; reference solutions need at most about 200
SIZE_LIMIT = 275  # characters of a prompt with its completion; longer problems are drawn again


class OutOfSteps(BaseException):
    """Raised in a program that exceeds its step budget. Not an Exception, so `except Exception` does not catch it."""


def fingerprint(text):
    value = 0
    for c in text:
        value = (value * 31 + ord(c)) & 0xFFFFFFFF
    return value


def for_problems(prompt):
    """Problems and corpus never share a prompt: a quarter of all prompts, by a hash of the text, is for problems."""
    return (fingerprint(prompt) >> 8) % 4 == 0


def call_text(name, args):
    return f"{name}({', '.join(literal(a) for a in args)})"


def literal(value):
    """repr with double quotes for strings, as in the prompts."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def load(code, name):
    space = {}
    exec(compile(code, "<program>", "exec"), space)
    return space[name]


def make_problem(family, draw):
    """A problem of a family: {family, category, split, name, prompt, styles, tests}, or None if this draw is unfit."""
    made = family["make"](draw)
    name = draw.pick(family["names"])
    head = f"def {name}({made['args']}):\n"
    styles = [style.replace("NAME", name) for style in made["styles"]]
    solve = load(head + styles[0], name)
    example = made["typical"]()
    inputs = [example] + list(made["edges"])
    for _ in range(TESTS):
        if len(inputs) >= TESTS and draw.chance(0.5):
            break
        inputs.append(made["typical"]())
    calls = {}
    for args in inputs:
        text = call_text(name, args)
        if text not in calls and len(calls) < TESTS + 1:
            value = solve(*json.loads(json.dumps(args)))
            # `is` keeps True apart from 1; equality alone would not.
            calls[text] = (
                f"{text} is {value}" if value is None or isinstance(value, bool) else f"{text} == {literal(value)}"
            )
    shown = call_text(name, example)
    answer = calls[shown].split(" is " if " is " in calls[shown] else " == ", 1)[1]
    prompt = f'{head}    """{made["doc"]}\n    >>> {shown}\n    {answer}\n    """\n'
    if len(calls) < MIN_TESTS or len(prompt) + max(map(len, styles)) > SIZE_LIMIT:
        return None
    tests = ["assert " + check for check in calls.values()]
    return {
        "family": family["name"],
        "category": family["category"],
        "split": family["split"],
        "name": name,
        "prompt": prompt,
        "styles": styles,
        "tests": tests,
    }


def run_tests(code, tests):
    """The first test that fails, as (index, kind), or None when all pass; kind: "load", "wrong", "error" or "steps"."""
    left = 0
    outer = sys.gettrace()

    def on_line(frame, event, argument):
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                raise OutOfSteps
        return on_line

    def on_call(frame, event, argument):
        return on_line(frame, event, argument) if frame.f_code.co_filename == "<program>" else None

    space = {}
    try:
        exec(compile(code, "<program>", "exec"), space)
    except (Exception, OutOfSteps):
        return (0, "load")
    depth = sys.getrecursionlimit()
    for index, test in enumerate(tests):
        left = STEP_BUDGET
        check = compile(test, "<test>", "exec")
        try:
            sys.setrecursionlimit(200)
            sys.settrace(on_call)
            exec(check, space)
        except AssertionError:
            return (index, "wrong")
        except OutOfSteps:
            return (index, "steps")
        except Exception:
            return (index, "error")
        finally:
            sys.settrace(outer)
            sys.setrecursionlimit(depth)
    return None


def item_draw(seed, stream, index):
    return Draw((seed * 4 + stream) * 1000003 + index)


def draw_problem(families, seed, stream, index, wanted):
    """Problem number `index` of a stream; the families take turns. Each item has draws of its own, so any range of a
    stream can be made alone and gives the same items."""
    draw = item_draw(seed, stream, index)
    family = families[index % len(families)]
    for _ in range(200):
        problem = make_problem(family, draw)
        if problem and wanted(problem["prompt"]):
            return problem, draw
    raise ValueError(f"micro-Python: family {family['name']} gave no fit problem in 200 draws")


def chosen_families(split):
    return [f for f in FAMILIES if split == "all" or f["split"] == split]


def problems(seed, start, count, split):
    """Problems start .. start + count of a seed, each validated: every reference solution passes all its tests."""
    rows = []
    families = chosen_families(split)
    for index in range(start, start + count):
        problem, _ = draw_problem(families, seed, 0, index, for_problems)
        for style in problem["styles"]:
            failed = run_tests(problem["prompt"] + style, problem["tests"])
            if failed:
                raise ValueError(
                    f"micro-Python: family {problem['family']}: a reference fails {problem['tests'][failed[0]]}"
                )
        rows.append({"index": index, **problem})
    return rows


def corpus(seed, start, count, bug_rate, syntax_rate, split="all"):
    """Corpus rows start .. start + count of a seed. A faulty row is kept only if its program really fails a test;
    `drawn` counts the mutants that were tried, `survived` those that passed all tests and were drawn again."""
    rows, drawn, survived, kinds = [], 0, 0, {}
    families = chosen_families(split)
    for index in range(start, start + count):
        problem, draw = draw_problem(families, seed, 1, index, lambda prompt: not for_problems(prompt))
        prompt, style = problem["prompt"], draw.pick(problem["styles"])
        row = {"index": index, "prompt": prompt, "completion": style, "family": problem["family"], "fault": None}
        row.update(name=problem["name"], tests=problem["tests"])
        at = draw.int(0, 9999) / 10000
        if at < bug_rate:
            for _ in range(12):
                mutant = inject(prompt + style, draw)
                if mutant is None:
                    break
                drawn += 1
                failed = run_tests(mutant["code"], problem["tests"])
                if failed:
                    kinds[failed[1]] = kinds.get(failed[1], 0) + 1
                    row.update(completion=mutant["code"][len(prompt) :], fault=mutant["fault"])
                    break
                survived += 1
        elif at < bug_rate + syntax_rate:
            mutant = inject(prompt + style, draw, list(SYNTACTIC))
            row.update(completion=mutant["code"][len(prompt) :], fault=mutant["fault"])
        rows.append(row)
    return {"rows": rows, "drawn": drawn, "survived": survived, "kinds": kinds}


def main(request):
    """Entry point for the host: {op: ...} gives a JSON value; a list of requests gives the list of their values."""
    if isinstance(request, list):
        return [main(single) for single in request]
    op = request["op"]
    if op == "problems":
        return problems(request["seed"], request["start"], request["count"], request["split"])
    if op == "corpus":
        return corpus(
            request["seed"],
            request["start"],
            request["count"],
            request["bugRate"],
            request["syntaxRate"],
            request.get("split", "all"),
        )
    if op == "inject":
        return inject(request["source"], Draw(request["seed"]), request.get("faults"))
    if op == "mutants":
        return all_mutants(request["source"], request.get("faults"))
    if op == "run":
        return run_tests(request["code"], request["tests"])
    if op == "families":
        return [{key: f[key] for key in ("name", "category", "split")} for f in FAMILIES]
    raise ValueError(f"micro-Python: no operation {op!r}")
