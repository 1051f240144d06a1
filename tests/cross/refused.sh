#!/usr/bin/env bash
# refused.sh COMPILER: a 32-bit build is refused, by CMake and by the compiler, with a message that
# says why. Needs no 32-bit C library.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! echo 'int f(void) { return sizeof(void *) == 4 ? 0 : 1; }' | "$1" -m32 -c -x c - -o "$scratch/f.o"; then
    echo "skipped: $1 makes no 32-bit code"
    exit 77
fi
if cmake -S "$root" -B "$scratch/build" -DCMAKE_C_COMPILER="$1" -DCMAKE_C_FLAGS=-m32 \
    -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY >"$scratch/log" 2>&1; then
    echo "CMake took a 32-bit target"
    exit 1
fi
grep -q "async needs a 64-bit target" "$scratch/log" || { cat "$scratch/log"; exit 1; }
if echo '#include "cc.h"' | "$1" -m32 -ffreestanding -std=c11 -fsyntax-only -I "$root/runtime" -x c - 2>"$scratch/log"; then
    echo "the compiler took a 32-bit target"
    exit 1
fi
grep -q "async needs a 64-bit target" "$scratch/log" || { cat "$scratch/log"; exit 1; }
echo "a 32-bit target is refused"
