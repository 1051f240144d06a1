package main

import (
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"time"
)

// power, chain and token: buffered channels, as a farm of as many workers as CPUs or with a goroutine
// for each stage.

const room = 64

type shape struct {
	workload string
	apply    stage
	stages   int
	items    uint64
	chunk    uint64
}

func (s shape) token() bool { return s.workload == "token" }

func (s shape) name(cpus int) string {
	chunk := ""
	if !s.token() {
		chunk = fmt.Sprintf("/chunk:%d", s.chunk)
	}
	return fmt.Sprintf("%s/k:%d/cpus:%d%s/go", s.workload, s.stages, cpus, chunk)
}

func (s shape) chunks() uint64 { return (s.items + s.chunk - 1) / s.chunk }

func (s shape) answer() uint64 {
	n := s.items
	if s.workload != "power" {
		hi, lo := bits.Mul64(n, n-1)
		return hi<<63 | lo>>1 + uint64(s.stages)*n
	}
	a, b, c := n-1, n, 2*n-1
	if a%2 == 0 {
		a /= 2
	} else {
		b /= 2
	}
	if a%3 == 0 {
		a /= 3
	} else if b%3 == 0 {
		b /= 3
	} else {
		c /= 3
	}
	return a * b * c
}

func (s shape) fill(index uint64, buffer []uint64) []uint64 {
	first := index * s.chunk
	count := s.chunk
	if s.items-first < count {
		count = s.items - first
	}
	buffer = buffer[:count]
	fill(buffer, first)
	return buffer
}

func (s shape) work(c *calls, index uint64, buffer []uint64) uint64 {
	buffer = s.fill(index, buffer)
	for i := 0; i < s.stages; i++ {
		s.apply(c, buffer)
	}
	if s.token() {
		return buffer[0]
	}
	return sum(c, buffer)
}

func (s shape) farm(cpus int, counted []calls) uint64 {
	jobs, results := make(chan uint64, room), make(chan uint64, room)
	go func() {
		for index := uint64(0); index < s.chunks(); index++ {
			jobs <- index
		}
		close(jobs)
	}()
	var working sync.WaitGroup
	for i := 0; i < cpus; i++ {
		working.Add(1)
		go func(c *calls) {
			defer working.Done()
			buffer := make([]uint64, s.chunk)
			for index := range jobs {
				results <- s.work(c, index, buffer)
			}
		}(&counted[i])
	}
	go func() {
		working.Wait()
		close(results)
	}()
	total := uint64(0)
	for result := range results {
		total += result
	}
	return total
}

// Buffers travel, and come back to the source.
func (s shape) staged(counted []calls) uint64 {
	spare := make(chan []uint64, room*(s.stages+2))
	for i := 0; i < room; i++ {
		spare <- make([]uint64, s.chunk)
	}
	last := make(chan []uint64, room)
	go func(to chan<- []uint64) {
		for index := uint64(0); index < s.chunks(); index++ {
			to <- s.fill(index, <-spare)
		}
		close(to)
	}(last)
	for i := 0; i < s.stages; i++ {
		next := make(chan []uint64, room)
		go func(c *calls, from <-chan []uint64, to chan<- []uint64) {
			for buffer := range from {
				s.apply(c, buffer)
				to <- buffer
			}
			close(to)
		}(&counted[i], last, next)
		last = next
	}
	total := uint64(0)
	for buffer := range last {
		total += sum(&counted[s.stages], buffer)
		spare <- buffer
	}
	return total
}

func (s shape) stagedItems(counted []calls) uint64 {
	last := make(chan uint64, room)
	go func(to chan<- uint64) {
		var item [1]uint64
		for index := uint64(0); index < s.items; index++ {
			fill(item[:], index)
			to <- item[0]
		}
		close(to)
	}(last)
	for i := 0; i < s.stages; i++ {
		next := make(chan uint64, room)
		go func(c *calls, from <-chan uint64, to chan<- uint64) {
			var one [1]uint64
			for one[0] = range from {
				s.apply(c, one[:])
				to <- one[0]
			}
			close(to)
		}(&counted[i], last, next)
		last = next
	}
	total := uint64(0)
	for item := range last {
		total += item
	}
	return total
}

func (s shape) checked(run func([]calls) uint64, counters int) (uint64, time.Duration, error) {
	counted := make([]calls, counters)
	begin := time.Now()
	total := run(counted)
	took := time.Since(begin)
	var all calls
	for i := range counted {
		all.add(&counted[i])
	}
	if total != s.answer() {
		return 0, 0, errors.New("wrong answer")
	}
	sums := s.chunks()
	if s.token() {
		sums = 0
	}
	if all.stage != uint64(s.stages)*s.chunks() || all.sum != sums {
		return 0, 0, errors.New("wrong number of calls of a kernel")
	}
	return s.items, took, nil
}

func (s shape) benchmarks(cpus int) []benchmark {
	staged := s.staged
	if s.token() {
		staged = s.stagedItems
	}
	return []benchmark{
		{s.name(cpus) + "/threads:farm", func() (uint64, time.Duration, error) {
			return s.checked(func(counted []calls) uint64 { return s.farm(cpus, counted) }, cpus)
		}},
		{s.name(cpus) + "/threads:stages", func() (uint64, time.Duration, error) {
			return s.checked(staged, s.stages+1)
		}},
	}
}

func streams(o options) []benchmark {
	var all []benchmark
	for _, stages := range []int{1, 4} {
		all = append(all, shape{"token", increment, stages, o.itemsOr(1_000_000), 1}.benchmarks(o.cpus)...)
	}
	for _, chunk := range []uint64{64, 256, 1024, 2048, 4096, 8192, 16384} {
		all = append(all, shape{"power", square, 1, o.itemsOr(20_000_000), chunk}.benchmarks(o.cpus)...)
		for _, stages := range []int{1, 4, 8} {
			all = append(all, shape{"chain", increment, stages, o.itemsOr(20_000_000), chunk}.benchmarks(o.cpus)...)
		}
	}
	return all
}
