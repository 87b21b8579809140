#!/usr/bin/env bash
# A native CPython 3.14 without installing one: the oracle that test/golden/traces is made with. Debian's packages are
# unpacked into an ignored folder and started through their own dynamic loader, so the machine's C library may be older.
# apt fetches them with an index and a state of its own (no root, nothing of the system changes) and checks the index
# against Debian's signature and each package against the index.
#
#   bash tools/native_python.sh            prints the path of the interpreter, preparing it first if need be
#   bash tools/native_python.sh FILE ARGS  runs it
set -euo pipefail

folder="$(cd "$(dirname "$0")/.." && pwd)/node_modules/.cache/etalon/python3.14"
python="$folder/python"

prepare() {
  if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then
    echo "native_python.sh needs apt-get and dpkg-deb: a Debian or a relative of it" >&2
    exit 1
  fi
  local work="$folder.part" keyring=/usr/share/keyrings/debian-archive-keyring
  for ending in gpg pgp; do
    if [ -f "$keyring.$ending" ]; then keyring="$keyring.$ending"; break; fi
  done
  if [ ! -f "$keyring" ]; then
    echo "native_python.sh needs Debian's keyring in /usr/share/keyrings (package debian-archive-keyring)" >&2
    exit 1
  fi
  rm -rf "$work"
  mkdir -p "$work"/{lists/partial,cache/archives/partial,packages,root}
  : > "$work/status"
  echo "deb [signed-by=$keyring] http://deb.debian.org/debian sid main" > "$work/sources.list"
  cat > "$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$work";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Acquire::Languages "none";
APT::Sandbox::User "$(id -un)";
CONF
  export APT_CONFIG="$work/apt.conf"
  apt-get -qq update >&2
  (cd "$work/packages" && apt-get -qq download python3.14-minimal libpython3.14-minimal libpython3.14-stdlib libc6 \
    libexpat1 zlib1g libbz2-1.0 liblzma5 libzstd1 libffi8 libssl3t64 libuuid1 libgcc-s1 >&2)
  for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/root"; done
  local loader
  loader="$(cd "$work/root" && find . -name 'ld-linux*.so.*' | head -n 1)"
  local library
  library="$(cd "$work/root" && dirname "$(find . -name libc.so.6 | head -n 1)")"
  cat > "$work/python" <<RUN
#!/bin/sh
root="\$(cd "\$(dirname "\$0")" && pwd)/root"
export PYTHONHOME="\$root/usr" PYTHONDONTWRITEBYTECODE=1
exec "\$root/$loader" --library-path "\$root/$library:\$root/usr/${library#*usr/}" "\$root/usr/bin/python3.14" "\$@"
RUN
  chmod +x "$work/python"
  rm -rf "$work"/{lists,cache,packages,status,sources.list,apt.conf,*.bin}
  "$work/python" -c 'import sys, json, zlib, hashlib, decimal, asyncio; assert sys.version_info[:2] == (3, 14)' >&2
  mv "$work" "$folder"
}

if [ ! -x "$python" ]; then prepare; fi
if [ $# -eq 0 ]; then echo "$python"; else exec "$python" "$@"; fi
