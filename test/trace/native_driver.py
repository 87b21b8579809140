# Runs the trace engine's Python modules under the machine's own CPython: reads programs from standard input, prints
# one trace per program. Arguments: the folder of the modules.
import json
import sys
import types

for name in ("snapshot", "branches", "counter", "tracer"):
    module = types.ModuleType("etalon_" + name)
    sys.modules["etalon_" + name] = module
    with open(f"{sys.argv[1]}/{name}.py") as file:
        exec(compile(file.read(), f"<etalon {name}>", "exec"), module.__dict__)

Tracer = sys.modules["etalon_tracer"].Tracer
out = []
for job in json.load(sys.stdin):
    space = {"__name__": "program"}
    exec(compile(job["src"], "<program>", "exec"), space)
    call = compile(job["call"], "<call>", "eval")
    tracer = Tracer(job["src"], "<program>", stream=True)
    tracer.start()
    try:
        eval(call, space)
    except BaseException:
        pass
    tracer.stop()
    out.append({"trace": tracer.wire(), "stream": tracer.stream})
print(json.dumps(out))
