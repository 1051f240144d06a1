#!/bin/bash
# treesum against find and sha256sum.
source "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
treesum=$bin/treesum
[[ -x $treesum ]] || { echo "treesum was not built"; exit 77; }

# What it must print. Sorted by name before names are escaped; sha256sum ends lines with NUL then.
expected() {
    local path
    find "$@" -type f -print0 | sort -z | while IFS= read -r -d '' path; do
        sha256sum "$path"
    done
}

same() { # FOLDER...
    expected "$@" >"$scratch/expected"
    for workers in 0 1 2 4; do
        expect 0 '' "$treesum" -p $workers "$@"
        check "$*, $workers workers" cmp "$scratch/stdout" "$scratch/expected"
    done
}

# ── Trees ────────────────────────────────────────────────────────────────────────────────────────

mkdir -p tree/a/b/c tree/a.d tree/empty 'tree/with space' tree/.hidden
echo 1 >tree/a/b/c/1
echo 2 >tree/a-b
echo 3 >tree/a.b
echo 4 >tree/a/b.c
echo 5 >tree/a/b-c
echo 6 >tree/a.d/6
echo 7 >'tree/with space/7 8'
echo 8 >tree/.hidden/8
echo 9 >$'tree/new\nline'
echo 10 >'tree/back\slash'
echo 11 >$'tree/\xff\xfe'
echo 12 >tree/$'caf\xc3\xa9'
: >tree/nothing
head -c 3000000 /dev/urandom >tree/random
truncate -s 5000000 tree/holes
ln -s a tree/link-to-folder
ln -s random tree/link-to-file
ln -s nowhere tree/link-to-nothing
mkfifo tree/fifo
same tree
same tree/
same ./tree/a
same tree/random
same tree/empty
same tree/a tree/a.d
(cd tree && same . && echo "$checks $failures" >"$scratch/counts")
read -r checks failures <"$scratch/counts"
expect 0 '' "$treesum" tree
check "as many workers as CPUs" cmp "$scratch/stdout" <(expected tree)
expect 0 '' "$treesum" tree/link-to-file
check "links are not followed" test ! -s "$scratch/stdout"

fresh
for ((i = 0; i < 40; i++)); do
    mkdir -p many/$((i % 7))/$i
    for ((j = 0; j < 50; j++)); do echo $i $j >many/$((i % 7))/$i/$j; done
done
sum_of() { find "$@" -type f -exec sha256sum {} + | sort -k 2; }
for workers in 0 1 2 4 16; do
    expect 0 '' "$treesum" -p $workers many
    check "2000 files, $workers workers" cmp "$scratch/stdout" <(sum_of many)
done
check "sha256sum -c agrees" sha256sum --quiet -c "$scratch/stdout"
cd many || exit 1
if [[ -d /usr/include/linux ]]; then
    expect 0 '' "$treesum" /usr/include/linux
    check "/usr/include/linux" cmp "$scratch/stdout" <(sum_of /usr/include/linux)
fi

# ── What cannot be read ──────────────────────────────────────────────────────────────────────────

fresh
mkdir good
echo good >good/file
expect 1 'treesum: missing: No such file or directory' "$treesum" missing good
check "the rest goes on" cmp "$scratch/stdout" <(expected good)
if [[ -w /proc/sys/vm/compact_memory || -e /proc/sys/vm/compact_memory ]]; then
    expect 1 'treesum: /proc/sys/vm/compact_memory: Permission denied' \
        "$treesum" /proc/sys/vm/compact_memory good
    check "the rest goes on" cmp "$scratch/stdout" <(expected good)
fi
mkdir bad bad/folder
for i in 1 2 3 4 5 6; do echo $i >bad/$i; done
chmod 0 bad/2 bad/5 bad/folder
chmod a+rx "$scratch" "$scratch/work"
plain_user=()
if [[ $(id -u) -eq 0 ]]; then
    plain_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
if "${plain_user[@]}" "$treesum" good >"$scratch/stdout" 2>"$scratch/stderr"; then
    for workers in 0 2; do
        expect 1 'treesum: bad/2: Permission denied
treesum: bad/5: Permission denied
treesum: bad/folder: Permission denied' "${plain_user[@]}" "$treesum" -p $workers bad
        check "the rest goes on" test "$(awk '{ print $2 }' "$scratch/stdout" | tr '\n' ' ')" = \
            'bad/1 bad/3 bad/4 bad/6 '
    done
fi
chmod 700 bad/folder

# ── Outputs and options ──────────────────────────────────────────────────────────────────────────

full() { "$treesum" "$@" >/dev/full; }
closed() { "$treesum" "$@" >&-; }
for workers in 0 2; do
    expect 1 'treesum: stdout: No space left on device' full -p $workers good
    expect 1 'treesum: stdout: No space left on device' full -p $workers /usr/include
    expect 1 'treesum: stdout: Bad file descriptor' closed -p $workers good
done
for bad in '' '-p' '-p x good' '-p -1 good' '-p 1025 good' '-p 4294967296 good' '-x good'; do
    # shellcheck disable=SC2086
    expect 1 '(.*
)?Usage: treesum \[-p WORKERS\] FOLDER...' "$treesum" $bad
done
if ! grep -Eq '__(a|t)san_init' "$treesum"; then
    few_threads() { (ulimit -v 300000 && exec "$treesum" "$@"); }
    expect 1 'treesum: .+' few_threads -p 1000 good
fi
finish
