package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// queue: a channel with room for 1024 or 4096 items, item by item; and pingpong: two channels of one.

func queueOnce(pairs, size int, items uint64) (uint64, time.Duration, error) {
	queue := make(chan uint64, size)
	share := items / uint64(pairs)
	totals := make([]calls, pairs) // each on lines of its own
	gate := make(chan struct{})
	var ready, working sync.WaitGroup
	for pair := 0; pair < pairs; pair++ {
		ready.Add(2)
		working.Add(2)
		go func(first uint64) {
			defer working.Done()
			ready.Done()
			<-gate
			for item := first; item < first+share; item++ {
				queue <- item
			}
		}(1 + uint64(pair)*share)
		go func(total *calls) {
			defer working.Done()
			ready.Done()
			<-gate
			sum := uint64(0)
			for i := uint64(0); i < share; i++ {
				sum += <-queue
			}
			total.sum = sum
		}(&totals[pair])
	}
	ready.Wait()
	begin := time.Now()
	close(gate)
	working.Wait()
	took := time.Since(begin)
	var all calls
	for i := range totals {
		all.add(&totals[i])
	}
	if all.sum != items/2*(items+1) {
		return 0, 0, errors.New("wrong sum")
	}
	return items, took, nil
}

func queues(o options) []benchmark {
	var all []benchmark
	items := o.itemsOr(1<<20) / 512
	if items == 0 {
		items = 1
	}
	items *= 512
	for _, pairs := range []int{1, 2, 4} {
		for _, size := range []int{1024, 4096} {
			pairs, size := pairs, size
			name := fmt.Sprintf("queue/%dp%dc/batch:1/cpus:%d/go/room:%d", pairs, pairs, o.cpus, size)
			all = append(all, benchmark{name, func() (uint64, time.Duration, error) {
				return queueOnce(pairs, size, items)
			}})
		}
	}
	return all
}

func pingpongOnce(across bool) (uint64, time.Duration, error) {
	const trips = 500
	there, back := make(chan uint64, 1), make(chan uint64, 1)
	pin := func(n int) {
		if across {
			runtime.LockOSThread() // and the thread ends with its goroutine
			if set, enough := nth(n, 1); enough {
				affinity(syscall.SYS_SCHED_SETAFFINITY, &set)
			}
		}
	}
	go func() {
		pin(1)
		for item := range there {
			back <- item
		}
	}()
	type result struct {
		took time.Duration
		err  error
	}
	done := make(chan result)
	go func() {
		pin(0)
		begin := time.Now()
		for item := uint64(1); item <= trips; item++ {
			there <- item
			if <-back != item {
				done <- result{0, errors.New("wrong item")}
				return
			}
		}
		took := time.Since(begin)
		close(there)
		done <- result{took, nil}
	}()
	r := <-done
	return trips, r.took, r.err
}

func pingpongs(o options) []benchmark {
	var all []benchmark
	for _, across := range []bool{false, true} {
		across := across
		threads := "free"
		if across {
			threads = "across"
		}
		if across && o.cpus == 1 {
			continue
		}
		name := fmt.Sprintf("pingpong/cpus:%d/threads:%s/go/channel", o.cpus, threads)
		all = append(all, benchmark{name, func() (uint64, time.Duration, error) { return pingpongOnce(across) }})
	}
	return all
}
