#!/usr/bin/env bash
# install.sh BUILD: installs a build into a scratch folder, and builds and runs a consumer there
# through the CMake package and through pkg-config, in C11 and in C++17, shared and static.
set -euo pipefail

build=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
library=$(dirname "$(find "$prefix" -name libasync.so)")
export LD_LIBRARY_PATH=$library
export PKG_CONFIG_PATH=$library/pkgconfig

echo "== the shared library needs libc and the compiler's unwinder only"
needed=$(objdump -p "$library/libasync.so" | awk '$1 == "NEEDED" {print $2}')
echo "$needed"
if grep -Ev '^(libc\.so|libgcc_s\.so|ld-linux)' <<<"$needed"; then
    echo "it should not need those"
    exit 1
fi

echo "== the CMake package"
cmake -S "$here/consumer" -B "$scratch/consumer" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" ||
    { cat "$scratch/log"; exit 1; }
cmake --build "$scratch/consumer" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
for program in c_async c_async_static cpp_async cpp_async_static; do
    echo "$program: $("$scratch/consumer/$program")"
done

echo "== pkg-config"
read -ra cflags <<<"$(pkg-config --cflags async)"
read -ra libs <<<"$(pkg-config --libs async)"
read -ra static_libs <<<"$(pkg-config --libs --static async)"
for language in c cpp; do
    compiler=(gcc -std=c11)
    [ "$language" = c ] || compiler=(g++ -std=c++17)
    warnings=(-Wall -Wextra -Wconversion -Wshadow -Werror)
    source=$here/consumer/consumer.$language
    "${compiler[@]}" "${warnings[@]}" "${cflags[@]}" "$source" "${libs[@]}" -o "$scratch/shared"
    "${compiler[@]}" "${warnings[@]}" "${cflags[@]}" "$source" -static "${static_libs[@]}" -o "$scratch/static"
    echo "$language: $("$scratch/shared") $(env -u LD_LIBRARY_PATH "$scratch/static")"
done
pkg-config --print-errors --exact-version="$(sed -n 's/.*VERSION_STRING "\(.*\)"/\1/p' "$prefix/include/async/version.h")" async

scale=$prefix/bin/async-scale
if [ -x "$scale" ]; then
    echo "== async-scale, and a plug-in that is made with what is installed"
    (unset LD_LIBRARY_PATH && "$scale" --version)
    test -s "$(find "$prefix" -name async-scale.1)"
    gcc -std=c11 -Wall -Wextra -Werror -shared -fPIC "${cflags[@]}" \
        "$here/../../docs/examples/scale_primes.c" "${libs[@]}" -o "$scratch/primes.so"
    (unset LD_LIBRARY_PATH && "$scale" "$scratch/primes.so" --items 10000 --workers 1 --chunks 64 --repeat 1 --quiet) |
        grep 'workers  chunk'
fi
