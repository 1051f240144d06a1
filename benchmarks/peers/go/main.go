// The workloads with Go's goroutines and channels, behind the command line and the JSON of the C++
// programs.
package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

type options struct {
	cpus  int
	items uint64 // 0: as many as is usual
}

func (o options) itemsOr(usual uint64) uint64 {
	if o.items != 0 {
		return o.items
	}
	return usual
}

// A benchmark runs once and gives the items that went through and the time they took.
type benchmark struct {
	name string
	once func() (uint64, time.Duration, error)
}

const pinnedMark = "PEERS_GO_PINNED"

type cpuSet [128]uint64

func affinity(call uintptr, set *cpuSet) bool {
	_, _, err := syscall.RawSyscall(call, 0, unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	return err == 0
}

// nth is the set of `count` CPUs from the first-th that the calling thread may use.
func nth(first, count int) (cpuSet, bool) {
	var allowed, chosen cpuSet
	if !affinity(syscall.SYS_SCHED_GETAFFINITY, &allowed) {
		return chosen, false
	}
	found := 0
	for cpu := 0; cpu < len(allowed)*64; cpu++ {
		if allowed[cpu/64]>>(cpu%64)&1 == 1 {
			if found >= first && found < first+count {
				chosen[cpu/64] |= 1 << (cpu % 64)
			}
			found++
		}
	}
	return chosen, found >= first+count
}

// The runtime has threads already: the program is started anew by a thread that is pinned.
func pinProgram(cpus int) error {
	if os.Getenv(pinnedMark) != "" {
		return nil
	}
	runtime.LockOSThread()
	chosen, enough := nth(0, cpus)
	if !enough || !affinity(syscall.SYS_SCHED_SETAFFINITY, &chosen) {
		return fmt.Errorf("there are fewer than %d CPUs to run on", cpus)
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), pinnedMark+"=1"))
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "peers_go: "+format+"\n", arguments...)
	os.Exit(2)
}

func main() {
	chosen := options{cpus: 1}
	pinned, list, filter, minTime := 0, false, "", 0.5
	for _, argument := range os.Args[1:] {
		name, value, _ := strings.Cut(argument, "=")
		number := func() int {
			result, err := strconv.Atoi(value)
			if err != nil || result < 1 {
				fail("%s takes a number from 1", name)
			}
			return result
		}
		switch name {
		case "--cpus":
			chosen.cpus = number()
		case "--pinned-to":
			pinned = number()
		case "--items":
			chosen.items = uint64(number())
		case "--benchmark_list_tests":
			list = value != "false"
		case "--benchmark_filter":
			filter = value
		case "--benchmark_min_time":
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				fail("%s takes seconds", name)
			}
			minTime = seconds
		case "--benchmark_format":
		default:
			fail("%s?", argument)
		}
	}
	if pinned == 0 {
		pinned = chosen.cpus
	}
	if err := pinProgram(pinned); err != nil {
		fail("%v", err)
	}
	runtime.GOMAXPROCS(chosen.cpus)
	wanted, err := regexp.Compile(filter)
	if err != nil {
		fail("%v", err)
	}
	var all []benchmark
	all = append(all, streams(chosen)...)
	all = append(all, skews(chosen)...)
	all = append(all, queues(chosen)...)
	all = append(all, pingpongs(chosen)...)
	var results []string
	for _, one := range all {
		one.name += "/real_time"
		if !wanted.MatchString(one.name) {
			continue
		}
		if list {
			fmt.Println(one.name)
		} else {
			results = append(results, measure(one, minTime))
		}
	}
	if !list {
		fmt.Printf("{\"benchmarks\": [\n%s\n]}\n", strings.Join(results, ",\n"))
	}
}

// measure gives an entry of the JSON. Names and messages have nothing in them that must be escaped.
func measure(one benchmark, minTime float64) string {
	var items uint64
	var took time.Duration
	iterations := 0
	for iterations == 0 || took.Seconds() < minTime {
		count, time, err := one.once()
		if err != nil {
			return fmt.Sprintf(`{"name": "%s", "error_occurred": true, "error_message": "%v"}`, one.name, err)
		}
		items += count
		took += time
		iterations++
	}
	return fmt.Sprintf(`{"name": "%s", "run_type": "iteration", "iterations": %d, "items_per_second": %.3f}`,
		one.name, iterations, float64(items)/took.Seconds())
}
