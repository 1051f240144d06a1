# Sourced by the tests of the examples, with the folder of the built programs as $1.
#
#   expect CODE PATTERN COMMAND...   runs COMMAND; its exit code and all of its standard error must
#                                    match (PATTERN is an extended regular expression; '': silent)
#   check WHAT COMMAND...            COMMAND must succeed
#   stdout of `expect` is in $scratch/stdout. The script runs inside $scratch, which is removed.

set -u
export LC_ALL=C

bin=${1:?folder of the built programs}
[[ -x $bin/docs/examples/power ]] && bin=$bin/docs/examples
bin=$(cd "$bin" && pwd)

scratch=$(mktemp -d "${TMPDIR:-/tmp}/async-examples.XXXXXX")
trap 'cd / && rm -rf "$scratch"' EXIT
mkdir "$scratch/work"
cd "$scratch/work" || exit 1

exec 3>&1 # where failures are told, whatever a check redirects
checks=0
failures=0

fail() {
    failures=$((failures + 1))
    echo "FAILED: $*" >&3
}

check() {
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$what"
}

expect() {
    local code=$1 pattern=$2 got
    shift 2
    checks=$((checks + 1))
    "$@" >"$scratch/stdout" 2>"$scratch/stderr"
    got=$?
    [[ $got -eq $code ]] || fail "'$*' ended with $got, not $code: $(<"$scratch/stderr")"
    [[ $(<"$scratch/stderr") =~ ^($pattern)$ ]] ||
        fail "'$*' said '$(<"$scratch/stderr")', not '$pattern'"
}

# fresh: an empty folder to work in.
fresh() {
    cd "$scratch" && rm -rf work && mkdir work && cd work || exit 1
}

# only NAME...: these files are there and no others, hidden ones included.
only() {
    checks=$((checks + 1))
    local there
    there=$(ls -A | tr '\n' ' ')
    [[ $there == "$([[ $# -gt 0 ]] && printf '%s\n' "$@" | sort | tr '\n' ' ')" ]] ||
        fail "there is: $there; not: $*"
}

# finish: the summary.
finish() {
    echo "$checks checks, $failures failed"
    [[ $failures -eq 0 ]]
    exit
}
