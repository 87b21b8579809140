#!/bin/bash
# Everything that is measured on a GPU, on any Linux host with Vulkan: prepares the host (tools/prepare_gpu.sh), runs the
# kernel tests, then the benches, then a training step of GPTs beside PyTorch's CUDA build where a Python has one.
#   bash tools/gpu_bench.sh results            # all of it
#   bash tools/gpu_bench.sh results peers      # only what is named: tests kernels step replay growth decode memory peers
# Leaves a log and, from the benches, a JSON file of each part in the folder. A part that fails does not stop the others; the
# last lines say which failed. ETALON_PYTHON names the Python with torch; LIMIT_S bounds each part (300 seconds).
set -u
[ $# -ge 1 ] || { sed -n '2,8p' "$0" | cut -c3-; exit 2; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 2
shift
parts=${*:-tests kernels step replay growth decode memory peers}
limit=${LIMIT_S:-300}
cd "$(dirname "$0")/.." || exit 2
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp} NO_COLOR=1

bash tools/prepare_gpu.sh 2>&1 | tee "$out/host.log"
[ "${PIPESTATUS[0]}" -eq 0 ] || exit 1
command -v nvidia-smi >/dev/null && nvidia-smi >>"$out/host.log" 2>&1
deno=(deno)
command -v deno >/dev/null || deno=(npx -y deno@2.9.6)

failed=""
part() { # name, command...
  local name=$1 began=$SECONDS code
  shift
  timeout "$limit" "$@" >"$out/$name.log" 2>&1
  code=$?
  [ $code -eq 0 ] || failed="$failed $name"
  tail -n 40 "$out/$name.log"
  echo "== $name: exit $code after $((SECONDS - began)) s"
}

for name in $parts; do
  case $name in
  tests) part tests "${deno[@]}" run -A npm:vitest@5.1.1 run --project deno test/kernels test/plan test/model ;;
  kernels | step | replay | growth | decode | memory)
    part "$name" "${deno[@]}" run -A bench/mod.ts "$name" --json "$out/$name.json" ;;
  peers)
    for shape in tiny small gpt124m gpt1b; do
      part "peers_$shape" "${deno[@]}" run -A bench/peers/gpu.ts "$shape" --json "$out/peers_$shape.json"
    done ;;
  *) echo "unknown part $name"; failed="$failed $name" ;;
  esac
done
[ -z "$failed" ] && echo "all parts ran" || { echo "failed:$failed"; exit 1; }
