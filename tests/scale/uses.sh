#!/bin/bash
# async-scale as its user meets it: help, version, bad input, files, interrupts, --compare.
source "$(dirname "${BASH_SOURCE[0]}")/../examples/lib.bash"
scale=$1/benchmarks/scale/async-scale
plugins=$1/tests/scale
try="Try .async-scale --help. or .async-scale --usage. for more information\."

# misused PATTERN ARGUMENT...: a message, code 2, nothing on standard output.
misused() {
    local pattern=$1
    shift
    expect 2 "async-scale: $pattern"$'\n'"$try" "$scale" "$@"
    check "nothing printed: $*" [ ! -s "$scratch/stdout" ]
}

quick=(-n 1000 -w 1 -c 64 -r 5 --warm-up 0 --predict 0 -q)

# ── Asking ──────────────────────────────────────────────────────────────────────────────────────
expect 0 '' "$scale" --help
for option in --list --items --workers --chunks --repeat --warm-up --pin --seed --argument --predict --json --csv \
    --html --svg --quiet --compare --version; do
    check "--help names $option" grep -q -e "$option" "$scratch/stdout"
done
expect 0 '' "$scale" --version
check '--version' grep -qE '^async-scale [0-9]+\.[0-9]+\.[0-9]+ \(library [0-9.]+\)$' "$scratch/stdout"
expect 0 '' "$scale" --list
for workload in compute memory skewed chain gzip channel; do
    check "--list names $workload" grep -q "^$workload " "$scratch/stdout"
done

# ── Bad input ───────────────────────────────────────────────────────────────────────────────────
misused 'which WORKLOAD\? --list names them'
misused "'gzip' is one argument too many" chain gzip
misused "--workers: '2000' is out of range \(0 to 1024\)" chain --workers 2000
misused "--workers: 'two' is no list of numbers, such as 1,2,4-6 \(0 to 1024\)" chain -w two
misused "--chunks: '0' is out of range \(1 to 1048576\)" chain -c 0
misused "--items takes a number from 1 to 1099511627776, not '-5'" chain --items=-5
misused "--repeat takes a number from 1 to 1000, not '0'" chain -r 0
misused "--predict takes a number from 0 to 4096, not '1e3'" chain --predict 1e3
misused "unrecognized option '--fast'" chain --fast
misused '--compare takes two files: A\.json B\.json' --compare a.json
expect 2 "async-scale: there is no workload 'nonsense' \(--list names them; a plug-in's path has a '/'\)" \
    "$scale" nonsense

# ── Plug-ins ────────────────────────────────────────────────────────────────────────────────────
expect 2 'async-scale: \./none\.so: cannot open shared object file: No such file or directory' "$scale" ./none.so
expect 2 'async-scale: \./none\.so: cannot open shared object file: No such file or directory' "$scale" none.so
echo text >text.so
expect 2 'async-scale: \./text\.so: (file too short|invalid ELF header)' "$scale" ./text.so
expect 2 'async-scale: .*no_function\.so: it exports no function async_scale_workload \(async/scale\.h declares it\)' \
    "$scale" "$plugins/no_function.so"
expect 1 'async-scale: 1 worker, chunk 64: the plug-in was made for version 2 of async/scale\.h, and this program has version 1: compile it anew' \
    "$scale" "$plugins/other_version.so" "${quick[@]}"
faulty() { # CODE PATTERN ARGUMENT
    expect "$1" "$2" "$scale" "$plugins/faulty.so" "${quick[@]}" --argument "$3"
}
faulty 1 'async-scale: 1 worker, chunk 64: the pipeline could not be built: code 12 \(.*\)' build
faulty 1 'async-scale: 1 worker, chunk 64: the plug-in gave no reader to read' forget
faulty 1 "async-scale: 1 worker, chunk 64: task 'numbers', item 7, code 42: seven" fail
faulty 1 'async-scale: 1 worker, chunk 64: wrong result: as was asked for \(code 1\)' wrong
faulty 1 "async-scale: 1 worker, chunk 64: the workload's start failed: code 5" start
faulty 0 '' ''
expect 0 '' "$scale" "$plugins/faulty.so" -n 3000 -w 1,2 -c 8 -r 1 --argument graph --json graph.json
check 'stages of a graph' [ "$(grep -cE '"name": "(left|right|join|serial|sink)"' graph.json)" -eq 5 ]

# ── Files ───────────────────────────────────────────────────────────────────────────────────────
fresh
mkdir folder
: >file
expect 1 'async-scale: folder: cannot be written: Is a directory' "$scale" chain "${quick[@]}" --json folder
expect 1 'async-scale: none/a\.csv: cannot be written: No such file or directory' "$scale" chain "${quick[@]}" --csv none/a.csv
expect 1 'async-scale: file: no plots can be written there: (Not a directory|File exists)' "$scale" chain "${quick[@]}" --svg file
check 'known before anything is measured' [ ! -s "$scratch/stdout" ]
if [[ $(id -u) -ne 0 ]]; then
    chmod a-w folder
    expect 1 'async-scale: folder/a\.html: cannot be written: Permission denied' "$scale" chain "${quick[@]}" --html folder/a.html
fi
only file folder
if [[ -c /dev/full ]]; then
    expect 1 'async-scale: /dev/full: cannot be written: No space left on device' "$scale" chain "${quick[@]}" --json /dev/full
fi
expect 0 '' "$scale" chain "${quick[@]}" --csv out.csv
expect 0 '(.|'$'\n'')*' "$scale" chain "${quick[@]}" --csv -
check 'a table to standard error, the file to standard output' grep -q items/s "$scratch/stderr"
check 'the same heading' [ "$(head -n 1 "$scratch/stdout")" = "$(head -n 1 out.csv)" ]
ln -s out.csv link
expect 0 '' "$scale" chain "${quick[@]}" --csv link
check 'a link stays one' [ -L link ]
only file folder link out.csv

# ── Interrupts ──────────────────────────────────────────────────────────────────────────────────
fresh
# 100 items of 10 ms: each run takes a second, all of them longer than any test.
"$scale" "$plugins/faulty.so" --argument slow -n 100 -w 1 -c 1,2 -r 1000 --warm-up 0 --json out.json --html out.html \
    >"$scratch/stdout" 2>"$scratch/stderr" &
program=$!
sleep 4
kill -INT $program
wait $program
check 'interrupted: 130' [ $? -eq 130 ]
check 'interrupted: it says so' grep -q '^async-scale: interrupted' "$scratch/stderr"
check 'interrupted: what there is' grep -q '^Interrupted: ' "$scratch/stdout"
check 'interrupted: the results' grep -q '"interrupted": true' out.json
only out.html out.json
fresh
"$scale" "$plugins/faulty.so" --argument slow -n 100000 -w 1 -c 1 --json out.json >"$scratch/stdout" 2>"$scratch/stderr" &
program=$!
sleep 1
kill -TERM $program
wait $program
check 'terminated before the first result: 143' [ $? -eq 143 ]
check 'terminated: it says so' grep -q '^Nothing was measured' "$scratch/stdout"
only

# ── Comparing ───────────────────────────────────────────────────────────────────────────────────
fresh
expect 0 '' "$scale" compute "${quick[@]}" --json a.json
expect 0 '' "$scale" --compare a.json a.json
check 'the same: nothing changed' grep -q '^Nothing changed beyond noise in 1 place\.$' "$scratch/stdout"
if command -v python3 >/dev/null; then
    python3 - <<'PYTHON'
import json
results = json.load(open("a.json"))
for name, factor in (("a", 1), ("b", 2)):
    for point in results["points"]:
        point["seconds"] = [factor * (0.01 + 1e-5 * i) for i in range(7)]
    results["reference_seconds"] = [0.004] * 7
    json.dump(results, open(f"made-{name}.json", "w"))
results["format_version"] = 99
json.dump(results, open("version.json", "w"))
results["format_version"] = 1
results["workload"] = "chain"
json.dump(results, open("chain.json", "w"))
results["workload"] = "compute"
results["points"][0]["workers"] = 77
json.dump(results, open("elsewhere.json", "w"))
results["points"][0]["seconds"] = [-1]
json.dump(results, open("negative.json", "w"))
del results["points"]
json.dump(results, open("points.json", "w"))
PYTHON
    expect 1 '' "$scale" --compare made-a.json made-b.json
    check 'slower' grep -q '^  1 worker, chunk 64: 50\.0 % slower$' "$scratch/stdout"
    expect 0 '' "$scale" --compare made-b.json made-a.json
    check 'faster' grep -q '^  1 worker, chunk 64: 100\.0 % faster$' "$scratch/stdout"
    expect 2 "async-scale: version\.json: its format has another version than this program's: measure again with one of them" \
        "$scale" --compare a.json version.json
    expect 2 'async-scale: they are of different workloads: compute and chain' "$scale" --compare made-a.json chain.json
    expect 2 'async-scale: they have no worker count and chunk size in common' "$scale" --compare made-a.json elsewhere.json
    for broken in negative points; do
        expect 2 "async-scale: $broken\.json: its points are not what async-scale writes" "$scale" --compare a.json $broken.json
    done
fi
head -c 200 a.json >half.json
expect 2 'async-scale: half\.json:[0-9]+: no JSON: .*' "$scale" --compare half.json a.json
echo '{"a": 1}' >other.json
expect 2 'async-scale: other\.json: it is JSON, but was not written by async-scale --json' "$scale" --compare a.json other.json
expect 2 'async-scale: .*none\.json.*No such file or directory' "$scale" --compare a.json none.json
: >empty.json
expect 2 'async-scale: empty\.json:.*' "$scale" --compare empty.json a.json

finish
