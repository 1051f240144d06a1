#!/bin/bash
# pgzip on good input: round trips, gzip's options, names, attributes, the terminal.
source "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
pgzip=$bin/pgzip
[[ -x $pgzip ]] || { echo "pgzip was not built"; exit 77; }

awk 'BEGIN { srand(7); while (n < 100000) { word = sprintf("%x", rand() * 9999);
    line = line word " "; n += length(word) + 1
    if (length(line) > 70) { print line; line = "" } } }' >"$scratch/text"

# words BYTES: text, the same each time.
words() {
    local i
    for ((i = 0; i <= $1 / 90000; i++)); do cat "$scratch/text"; done | head -c "$1"
}

unpacks_to() { # PACKED PLAIN: by gzip, which checks the sums, and by pgzip
    gzip -t <"$1" && gzip -dc <"$1" | cmp - "$2" && "$pgzip" -dc <"$1" | cmp - "$2"
}

# ── Round trips ──────────────────────────────────────────────────────────────────────────────────

words 1500000 >words
head -c 600000 /dev/urandom >random
head -c 1000000 /dev/zero >zeros
: >empty
printf x >one
head -c 131072 words >block
head -c 131073 words >block-and-one
head -c 262144 random >two-blocks
cp words words.before

for file in words random zeros empty one block block-and-one two-blocks; do
    for workers in 0 1 2 4; do
        expect 0 '' "$pgzip" -p $workers -c $file
        mv "$scratch/stdout" $file.$workers
        check "$file with $workers workers" unpacks_to $file.$workers $file
        check "$file: $workers workers make the same bytes" cmp $file.0 $file.$workers
    done
done
for kib in 1 2 7 31 32 33 64 100 128 1000 65536; do
    for workers in 0 2; do
        expect 0 '' "$pgzip" -p $workers -b $kib -c words
        check "blocks of $kib KiB" unpacks_to "$scratch/stdout" words
        expect 0 '' "$pgzip" -p $workers -b $kib -c random
        check "random blocks of $kib KiB" unpacks_to "$scratch/stdout" random
    done
done
for level in 1 2 3 4 5 6 7 8 9; do
    for file in words random; do
        expect 0 '' "$pgzip" -$level -p 2 -c $file
        check "level $level of $file" unpacks_to "$scratch/stdout" $file
    done
done
check "the input was not touched" cmp words words.before

size() { stat -c %s "$1"; }
"$pgzip" -1 -c words >fast
"$pgzip" --best -c words >best
check "-9 is smaller than -1" test "$(size best)" -lt "$(size fast)"
gzip -c words >by-gzip
"$pgzip" -c words >by-pgzip
check "as small as gzip's, within 2 %" \
    test $(($(size by-pgzip) * 100)) -lt $(($(size by-gzip) * 102))
if command -v pigz >"$scratch/stdout"; then
    pigz -c words >by-pigz
    check "as small as pigz's, within 0.5 %" \
        test $(($(size by-pgzip) * 1000)) -lt $(($(size by-pigz) * 1005))
fi

# ── Standard input and output ────────────────────────────────────────────────────────────────────

fresh
words 500000 >words
check "through pipes" cmp <(cat words | "$pgzip" | "$pgzip" -d) words
check "in small pieces" cmp <(dd if=words bs=777 status=none | "$pgzip" -p 2 | gzip -d) words
check "- is standard input" cmp <("$pgzip" - <words | gzip -d) words
check "from the middle of a file" \
    cmp <( (head -c 32768 >/dev/null; "$pgzip" -c) <words | gzip -d) <( (head -c 32768 >/dev/null; cat) <words)
mkfifo fifo
cat words >fifo &
expect 0 '' "$pgzip" -c fifo
check "from a named pipe" cmp <(gzip -d <"$scratch/stdout") words
wait $!
only fifo words

# ── Files and names ──────────────────────────────────────────────────────────────────────────────

fresh
words 200000 >words
cp words original
chmod 640 words
touch -d '2001-02-03 04:05:06' words
expect 0 '' "$pgzip" words
only original words.gz
check "mode and time are kept" test "$(stat -c '%a %Y' words.gz)" = "640 $(date -d '2001-02-03 04:05:06' +%s)"
cp words.gz "$scratch/renamed.gz"
check "name and time are in the header" \
    test "$(gzip -lvN "$scratch/renamed.gz" | awk 'END { print $3, $4, $5, $NF }')" = "Feb 3 04:05 $scratch/words"
expect 0 '' "$pgzip" -d words.gz
only original words
check "there and back" cmp words original
check "mode and time are kept" test "$(stat -c '%a %Y' words)" = "640 $(date -d '2001-02-03 04:05:06' +%s)"
if [[ $(id -u) -eq 0 ]]; then
    chown 12:34 words
    expect 0 '' "$pgzip" words
    check "the owner is kept" test "$(stat -c %u:%g words.gz)" = 12:34
    expect 0 '' "$pgzip" -d words
    check "the owner is kept" test "$(stat -c %u:%g words)" = 12:34
fi

expect 0 '' "$pgzip" -k words
only original words words.gz
expect 0 '' "$pgzip" -dc words.gz
check "-dc" cmp "$scratch/stdout" original
only original words words.gz
expect 0 '' "$pgzip" -o elsewhere words
expect 0 '' "$pgzip" -d -o plain elsewhere
check "-o" cmp plain original
only elsewhere original plain words words.gz
expect 0 '' "$pgzip" -o from-stdin <words
check "a new file has the usual mode" test "$(stat -c %a from-stdin)" = "$(printf '%o' $((0666 & ~$(umask))))"

rm -f elsewhere plain words.gz from-stdin
cp words ./-dash
expect 0 '' "$pgzip" -- -dash
only -dash.gz original words
expect 0 '' "$pgzip" -d ./-dash.gz
check "a name that begins with a dash" cmp ./-dash original
rm ./-dash
mkdir folder
cp words 'folder/two words.txt'
expect 0 '' "$pgzip" 'folder/two words.txt'
check "a name with a space" gzip -t 'folder/two words.txt.gz'
rm -r folder
tar cf archive.tar words
expect 0 '' "$pgzip" -o archive.tgz archive.tar
mv archive.tar archive.before
expect 0 '' "$pgzip" -d archive.tgz
check ".tgz becomes .tar" cmp archive.tar archive.before

fresh
for i in 1 2 3; do words ${i}0000 >$i; done
cat 1 2 3 >all
expect 0 '' "$pgzip" 1 2 3
only 1.gz 2.gz 3.gz all
check "one file after the other" cmp <("$pgzip" -dc 1.gz 2 3) all
check "-c of several is one stream of members" cmp <("$pgzip" -dc 1 2 3 | "$pgzip" -c - | gzip -d) all
expect 2 'pgzip: 1.gz already has .gz suffix -- unchanged' "$pgzip" 1.gz
only 1.gz 2.gz 3.gz all

# ── Not overwritten, unless forced ───────────────────────────────────────────────────────────────

fresh
words 100000 >words
echo precious >words.gz
expect 2 'pgzip: words.gz already exists; not overwritten' "$pgzip" words
expect 2 '' "$pgzip" -q words
expect 2 'pgzip: words.gz already exists; not overwritten' "$pgzip" -o words.gz words
check "the output was not touched" test "$(<words.gz)" = precious
only words words.gz
expect 0 '' "$pgzip" -f words
only words.gz
check "-f overwrites" gzip -t words.gz
words 100000 >words
mkdir there
mv words.gz there/target
ln -s there/target words.gz
echo old >there/target
expect 0 '' "$pgzip" -f words
check "-f replaces what a link points to" test -L words.gz
check "-f replaces what a link points to" gzip -t there/target
only there words.gz
words 100000 >words
expect 2 'pgzip: words already exists; not overwritten' "$pgzip" -f -o words words
check "the input is not its own output" cmp words <(words 100000)
expect 0 '' "$pgzip" -f -o /dev/null words
check "a device stays" test -c /dev/null
expect 2 'pgzip: there already exists; not overwritten' "$pgzip" -o there words
expect 1 'pgzip: there: Is a directory' "$pgzip" -f -o there words
only there words words.gz

# ── Left alone ───────────────────────────────────────────────────────────────────────────────────

fresh
words 1000 >words
mkdir folder
ln -s words link
ln words hard
expect 2 'pgzip: folder is a directory -- ignored' "$pgzip" folder
expect 2 'pgzip: link is a symbolic link -- ignored' "$pgzip" link
expect 2 'pgzip: words has 1 other link -- unchanged' "$pgzip" words
expect 2 'pgzip: /dev/null is not a directory or a regular file -- ignored' "$pgzip" /dev/null
expect 2 'pgzip: words: unknown suffix -- ignored' "$pgzip" -d words
only folder hard link words
expect 0 '' "$pgzip" -c link
check "-c follows links" cmp <(gzip -d <"$scratch/stdout") words
expect 0 '' "$pgzip" -k words
only folder hard link words words.gz

# ── Members, padding, garbage ────────────────────────────────────────────────────────────────────

fresh
words 300000 >a
head -c 200000 /dev/urandom >b
gzip -c a >packed
"$pgzip" -c b >>packed
: | gzip >>packed
gzip -9c a >>packed
cat a b a >plain
check "several members" cmp <("$pgzip" -dc <packed) plain
(cat packed; head -c 100000 /dev/zero) >padded
expect 0 '' "$pgzip" -dc padded
check "zeros after the end" cmp "$scratch/stdout" plain
(cat packed; echo garbage) >trailing.gz
expect 2 'pgzip: trailing.gz: decompression OK, trailing garbage ignored' "$pgzip" -d trailing.gz
check "garbage after the end" cmp trailing plain
check "made from many small pieces" cmp <(dd if=packed bs=13 status=none | "$pgzip" -d) plain

# ── Options ──────────────────────────────────────────────────────────────────────────────────────

fresh
expect 0 '' "$pgzip" -h
check "help" grep -q 'Usage: pgzip' "$scratch/stdout"
expect 0 '' "$pgzip" --version
check "version" grep -Eq '^pgzip [0-9]+\.[0-9]+\.[0-9]+ ' "$scratch/stdout"
try="Try 'pgzip --help' for more information."
words 1000 >words
for bad in '-p x' '-p -1' '-p 1025' '-p 2x' '-b 0' '-b 65537' '-b 99999999999999999999' \
    '--processes=' '-c -o out' '-x' '--nonsense'; do
    # shellcheck disable=SC2086
    expect 1 "pgzip: .*
$try" "$pgzip" $bad words
done
expect 1 "pgzip: option requires an argument -- 'o'
$try" "$pgzip" words -o
expect 1 "pgzip: -o takes a single FILE
$try" "$pgzip" -o out words words
only words
expect 0 'words:[[:space:]]+[0-9.]+% -- replaced with words.gz' "$pgzip" -v words
expect 0 'words.gz:[[:space:]]+[0-9.]+% -- created words' "$pgzip" -dvk words.gz

# ── The terminal ─────────────────────────────────────────────────────────────────────────────────

fresh
if command -v script >"$scratch/stdout"; then
    mkfifo silent
    exec 8<>silent # nothing is typed, and standard input doesn't end
    rm silent
    on_terminal() { script -qec "$1" /dev/null <&8; }
    words 1000 >words
    on_terminal "'$pgzip' -c words" >"$scratch/stdout"
    check "no compressed data to a terminal" \
        grep -q '^.*pgzip: compressed data not written to a terminal' "$scratch/stdout"
    check "no compressed data to a terminal" test "$(wc -l <"$scratch/stdout")" -eq 1
    on_terminal "'$pgzip' -d" >"$scratch/stdout"
    check "no compressed data from a terminal" \
        grep -q 'pgzip: compressed data not read from a terminal' "$scratch/stdout"
    on_terminal "stty raw; '$pgzip' -cf words" >"$scratch/stdout"
    check "-f writes to a terminal" cmp <(gzip -d <"$scratch/stdout") words

    words 200000 >words
    slow="(sleep 0.7; for i in 1 2 3 4 5 6; do cat words; sleep 0.1; done)"
    on_terminal "$slow | '$pgzip' -o out" >"$scratch/stdout"
    check "a progress line" grep -Eq 'stdin +[0-9.]+ MiB +[0-9.]+ MiB/s' "$scratch/stdout"
    check "wiped off in the end" test "$(tail -c 4 "$scratch/stdout" | od -An -tx1)" = ' 0d 1b 5b 4b'
    on_terminal "$slow | '$pgzip' -q -f -o out" >"$scratch/stdout"
    check "-q: no progress line" test ! -s "$scratch/stdout"
    on_terminal "$slow | '$pgzip' -c >out" >"$scratch/stdout"
    check "a progress line" grep -Eq 'stdin +[0-9.]+ MiB +[0-9.]+ MiB/s' "$scratch/stdout"
    words 20000000 >words
    on_terminal "'$pgzip' -9 -p 1 -k words" >"$scratch/stdout"
    check "part and time left" grep -Eq \
        'words +[0-9]+% \[=*>? *\] +[0-9.]+ MiB +[0-9.]+ MiB/s +[0-9]+:[0-9][0-9] left' "$scratch/stdout"
fi
finish
