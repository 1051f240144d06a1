package main

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// skew: each item burns a time of a Pareto distribution, as in shapes/skew/config.h.

const drawn = 20_000

func units() []uint64 {
	const mean, form = 15_000.0, 1.2
	state, total := uint64(88172645463325252), 0.0
	draws := make([]float64, drawn)
	for i := range draws {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		uniform := (float64(state>>11) + 0.5) / 9007199254740992.0
		draws[i] = math.Min(math.Pow(uniform, -1/form), 1250)
		total += draws[i]
	}
	result := make([]uint64, drawn)
	for i, draw := range draws {
		result[i] = uint64(math.Min(draw*mean*drawn/total, 250*mean))
	}
	return result
}

// The map of n steps is the map of the bits of n, one after the other.
func skewAnswer(items uint64, table []uint64) uint64 {
	total := uint64(0)
	for item := uint64(0); item < items; item++ {
		multiplier, addend, state := uint64(6364136223846793005), uint64(1442695040888963407), item
		for steps := table[item%drawn]; steps != 0; steps >>= 1 {
			if steps&1 == 1 {
				state = state*multiplier + addend
			}
			addend = addend*multiplier + addend
			multiplier *= multiplier
		}
		total += state
	}
	return total
}

func skewFarm(cpus int, chunk, items uint64, table []uint64, counted []calls) uint64 {
	jobs, results := make(chan uint64, room), make(chan uint64, room)
	go func() {
		for first := uint64(0); first < items; first += chunk {
			jobs <- first
		}
		close(jobs)
	}()
	var working sync.WaitGroup
	for i := 0; i < cpus; i++ {
		working.Add(1)
		go func(c *calls) {
			defer working.Done()
			for first := range jobs {
				total := uint64(0)
				for item := first; item < first+chunk && item < items; item++ {
					total += burn(c, item, table[item%drawn])
				}
				results <- total
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

func skews(o options) []benchmark {
	var all []benchmark
	items := o.itemsOr(drawn)
	var table []uint64
	for _, chunk := range []uint64{1, 16} {
		chunk := chunk
		name := fmt.Sprintf("skew/cpus:%d/chunk:%d/go/threads:farm", o.cpus, chunk)
		all = append(all, benchmark{name, func() (uint64, time.Duration, error) {
			if table == nil {
				table = units()
			}
			counted := make([]calls, o.cpus)
			begin := time.Now()
			total := skewFarm(o.cpus, chunk, items, table, counted)
			took := time.Since(begin)
			var sum calls
			for i := range counted {
				sum.add(&counted[i])
			}
			if total != skewAnswer(items, table) || sum.burn != items {
				return 0, 0, errors.New("wrong answer, or wrong number of calls")
			}
			return items, took, nil
		}})
	}
	return all
}
