#!/bin/bash
# Prepares a bare Linux host with a GPU for WebGPU: the Vulkan loader, the driver's ICD file where a container has the
# driver but not the file, Deno if it is missing. Prints the adapter Deno then sees. Run as root, or with sudo at hand:
#   bash tools/prepare_gpu.sh
set -u
root=""
[ "$(id -u)" -eq 0 ] || root="sudo"

have_library() { ldconfig -p 2>/dev/null | grep -q "$1"; }
install() {
  echo "installing: $*" >&2
  $root apt-get update -qq >&2
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
    echo "apt-get could not install $*; going on with what is here" >&2
}

have_library libvulkan.so.1 || install libvulkan1

icds=$(ls /etc/vulkan/icd.d/*.json /usr/share/vulkan/icd.d/*.json 2>/dev/null)
if [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null; then
  echo "NVIDIA: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -1)"
  # NVIDIA's Vulkan driver is libGLX_nvidia (or libEGL_nvidia, which needs no X): there when the container was started with
  # the graphics capability (NVIDIA_DRIVER_CAPABILITIES=all).
  if have_library libGLX_nvidia.so.0; then library=libGLX_nvidia.so.0
  elif have_library libEGL_nvidia.so.0; then library=libEGL_nvidia.so.0
  else library=""; echo "no NVIDIA graphics library: start the container with NVIDIA_DRIVER_CAPABILITIES=all" >&2
  fi
  if [ -n "$library" ]; then
    # The library itself wants these X libraries even where there is no X.
    for pair in libX11.so.6:libx11-6 libXext.so.6:libxext6; do
      have_library "${pair%%:*}" || install "${pair##*:}"
    done
    if ! echo "$icds" | grep -qi nvidia; then
      $root mkdir -p /etc/vulkan/icd.d
      printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.3.0"}}\n' "$library" |
        $root tee /etc/vulkan/icd.d/nvidia_icd.json >/dev/null
      echo "wrote /etc/vulkan/icd.d/nvidia_icd.json for $library"
    fi
  fi
elif [ -e /dev/dri/renderD128 ]; then
  echo "render node /dev/dri/renderD128"
  echo "$icds" | grep -qiE "radeon|intel" || install mesa-vulkan-drivers
else
  echo "no GPU device found: Mesa's software driver instead"
  [ -n "$icds" ] || install mesa-vulkan-drivers
fi

deno=(deno)
if ! command -v deno >/dev/null; then
  command -v npx >/dev/null || { echo "Cannot go on: neither deno nor npx is on PATH" >&2; exit 1; }
  deno=(npx -y deno@2.9.6)
fi
cd "$(dirname "$0")/.." || exit 1
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp} "${deno[@]}" eval --no-config '
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) { console.error("Cannot find a GPU adapter after the preparation"); Deno.exit(1); }
  const { vendor, architecture, device, description } = adapter.info;
  console.log("adapter:", [vendor, architecture, device, description].filter(Boolean).join(" | "));
  console.log("features:", [...adapter.features].join(" "));
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeInvocationsPerWorkgroup } = adapter.limits;
  console.log("limits:", JSON.stringify({ maxBufferSize, maxStorageBufferBindingSize, maxComputeInvocationsPerWorkgroup }));'
