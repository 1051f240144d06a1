#!/bin/bash
# pgzip on bad input, bad outputs and in bad times: a clear message, the right exit code, and nothing
# half done left behind.
source "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
pgzip=$bin/pgzip
[[ -x $pgzip ]] || { echo "pgzip was not built"; exit 77; }

# ── Inputs ───────────────────────────────────────────────────────────────────────────────────────

expect 1 'pgzip: missing: No such file or directory' "$pgzip" missing
expect 1 'pgzip: missing.gz: No such file or directory' "$pgzip" -d missing
expect 1 'pgzip: no/folder: No such file or directory' "$pgzip" no/folder
expect 1 'pgzip: stdin: Is a directory' "$pgzip" -c </
expect 1 'pgzip: stdin: Is a directory' "$pgzip" -d </
expect 1 'pgzip: stdin: Bad file descriptor' "$pgzip" -c <&-
expect 2 'pgzip: / is a directory -- ignored' "$pgzip" -c /
if [[ $(id -u) -ne 0 ]]; then
    echo secret >secret
    chmod 0 secret
    expect 1 'pgzip: secret: Permission denied' "$pgzip" secret
    rm -f secret
fi
if [[ -r /proc/self/mem ]]; then
    for workers in 0 2; do
        expect 1 'pgzip: /proc/self/mem: Input/output error' "$pgzip" -p $workers -o out /proc/self/mem
    done
fi
only
echo good >good
expect 1 'pgzip: missing: No such file or directory' "$pgzip" missing good
only good.gz
expect 1 'pgzip: missing: No such file or directory
pgzip: good.gz already has .gz suffix -- unchanged' "$pgzip" missing good.gz

# ── Damaged data ─────────────────────────────────────────────────────────────────────────────────

fresh
head -c 400000 /dev/urandom | od -x >plain
gzip -9k plain
size=$(stat -c %s plain.gz)
: >empty.gz
echo 'no gzip at all' >text.gz
printf '\037' >byte.gz
expect 1 'pgzip: empty.gz: unexpected end of file' "$pgzip" -d empty.gz
expect 1 'pgzip: byte.gz: unexpected end of file' "$pgzip" -d byte.gz
expect 1 'pgzip: text.gz: not in gzip format' "$pgzip" -d text.gz
for length in 2 3 9 10 11 18 1000 $((size / 2)) $((size - 9)) $((size - 8)) $((size - 4)) $((size - 1)); do
    head -c "$length" plain.gz >cut.gz
    expect 1 'pgzip: cut.gz: unexpected end of file' "$pgzip" -d cut.gz
    expect 1 'pgzip: stdin: unexpected end of file' "$pgzip" -d <cut.gz
done
rm cut.gz
# overwritten AT BYTES: plain.gz with some bytes changed
overwritten() {
    cp plain.gz bad.gz
    # shellcheck disable=SC2059
    printf "$2" | dd of=bad.gz bs=1 seek="$1" conv=notrunc status=none
}
overwritten $((size - 8)) '\1\2\3\4'
expect 1 'pgzip: bad.gz: invalid compressed data--crc error' "$pgzip" -d bad.gz
overwritten $((size - 4)) '\1\2\3\4'
expect 1 'pgzip: bad.gz: invalid compressed data--length error' "$pgzip" -d bad.gz
overwritten 2 '\7'
expect 1 'pgzip: bad.gz: invalid compressed data--format violated' "$pgzip" -d bad.gz
for at in 30 1000 $((size / 3)) $((size / 2)) $((size - 100)); do
    overwritten "$at" '\252\125\377\0\252'
    expect 1 'pgzip: bad.gz: (invalid compressed data--[a-z ]+|unexpected end of file)' \
        "$pgzip" -d bad.gz
done
(cat plain.gz; head -c 100 plain.gz) >second.gz
expect 1 'pgzip: second.gz: unexpected end of file' "$pgzip" -d second.gz
only bad.gz byte.gz empty.gz plain plain.gz second.gz text.gz

# ── Outputs ──────────────────────────────────────────────────────────────────────────────────────

fresh
head -c 6000000 /dev/urandom >random
gzip -1k random
full() { "$pgzip" "$@" >/dev/full; }
limited() { (ulimit -f 1000 && exec env --ignore-signal=XFSZ "$pgzip" "$@"); }
for workers in 0 1 2 4; do
    expect 1 'pgzip: stdout: No space left on device' full -p $workers -c random
    expect 1 'pgzip: /dev/full: No space left on device' "$pgzip" -p $workers -f -o /dev/full random
    expect 1 'pgzip: no/out: No such file or directory' "$pgzip" -p $workers -o no/out random
    # A broken pipe ends it by its signal, in silence, as it does gzip; or with a message.
    head_of() { "$pgzip" "$@" | head -c 10 >"$scratch/head"; return "${PIPESTATUS[0]}"; }
    expect 141 '' head_of -p $workers -c random
    expect 1 'pgzip: stdout: Broken pipe' bash -c '"$@" | head -c 10 >"$0"; exit ${PIPESTATUS[0]}' \
        "$scratch/head" env --ignore-signal=PIPE "$pgzip" -p $workers -c random
    expect 1 'pgzip: random.gz: File too large' limited -p $workers -f random
    check "the old output is still there" cmp <(gzip -dc random.gz) random
    expect 1 'pgzip: out: File too large' limited -p $workers -o out random
    only random random.gz
done
# Nothing can go out, and no more comes in: it doesn't wait for the input.
mkfifo silent
for workers in 0 2; do
    exec 9<>silent
    head -c 300000 random >&9 &
    expect 1 'pgzip: /dev/full: No space left on device' \
        timeout 20 "$pgzip" -p $workers -b 32 -f -o /dev/full <silent 9>&-
    kill $! 2>/dev/null
    exec 9>&-
done
rm silent
expect 1 'pgzip: stdout: No space left on device' full -dc random.gz
expect 1 'pgzip: stdout: No space left on device' full -c /dev/null
closed() { "$pgzip" "$@" >&-; }
expect 1 'pgzip: stdout: Bad file descriptor' closed -c random
only random random.gz
# Where 0, 1 and 2 are closed, files don't get their numbers, nor messages into files.
all_closed() { "$pgzip" "$@" <&- >&- 2>&-; }
expect 0 '' all_closed -o out random
check "with all standard files closed" cmp <(gzip -dc out) random
expect 2 '' all_closed -o out random
check "with all standard files closed" cmp <(gzip -dc out) random
rm out

if [[ $(id -u) -eq 0 ]] && mkdir small && mount -t tmpfs -o size=1m none small 2>/dev/null; then
    cp random small.input
    expect 1 'pgzip: small/out: No space left on device' "$pgzip" -o small/out random
    check "a full disk is empty again" test -z "$(ls -A small)"
    gzip -dc random.gz | head -c 900000 >small/file
    expect 1 'pgzip: small/file.gz: No space left on device' "$pgzip" small/file
    check "the input is still there" test "$(ls -A small)" = file
    umount small
    rm small.input
fi
[[ -d small ]] && rmdir small

# ── Signals ──────────────────────────────────────────────────────────────────────────────────────

fresh
head -c 1000000 /dev/urandom >random
echo old >old
mkfifo input

# start COMMAND...: runs it in the background, with an input that stays open and falls silent; it
# is $job. Job control gives it the default signals: SIGINT is ignored in the background otherwise.
start() {
    exec 9<>input
    cat random >&9 9>&- &
    feeder=$!
    set -m
    "$@" <input 9>&- &
    job=$!
    set +m
    for _ in {1..200}; do
        [[ -n $(find . -type f -size +0 ! -name random ! -name old) ]] && break
        sleep 0.05
    done
    check "an output is being made" test -n "$(find . -type f -size +0 ! -name random ! -name old)"
}
end() {
    wait $job 2>"$scratch/stderr"
    code=$?
    kill $feeder 2>/dev/null
    wait $feeder 2>/dev/null
    exec 9>&-
}
# ThreadSanitizer keeps signals back for as long as a thread sleeps.
if ! grep -q __tsan_init "$pgzip"; then
    for workers in 0 2; do
        for output in new old; do
            for signal in HUP:129 INT:130 TERM:143; do
                start "$pgzip" -p $workers -f -o $output
                kill -s ${signal%:*} $job
                end
                check "ended by the signal: $code" test $code -eq ${signal#*:}
                only input old random
                check "the old output is untouched" test "$(<old)" = old
            done
        done
    done
    start env --ignore-signal=HUP "$pgzip" -o new
    kill -s HUP $job
    wait $feeder
    exec 9>&-
    end
    check "nohup stays nohup: $code" test $code -eq 0
    check "nohup stays nohup" cmp <(gzip -dc new) random
    rm new
fi
rm -f input

# ── Threads and memory ───────────────────────────────────────────────────────────────────────────

# Sanitizers take more address space than these limits leave.
if ! grep -Eq '__(a|t)san_init' "$pgzip"; then
    limited() { (ulimit -v "$1" && shift && exec "$pgzip" "$@"); }
    expect 1 'pgzip: cannot start the workers: .+' limited 300000 -p 1000 -o new random
    expect 1 'pgzip: random: .+' limited 60000 -p 0 -b 65536 -o new random
    only old random
fi
finish
