package main

// The kernels of support/kernels.c in Go: a call of C would cost more than most chunks. Calls are
// counted in counters of the goroutine that makes them.
type calls struct {
	stage, sum, burn uint64
	_                [13]uint64 // a cache line's pair of its own
}

func (c *calls) add(other *calls) {
	c.stage += other.stage
	c.sum += other.sum
	c.burn += other.burn
}

type stage func(*calls, []uint64)

//go:noinline
func fill(items []uint64, first uint64) {
	for i := range items {
		items[i] = first + uint64(i)
	}
}

//go:noinline
func square(c *calls, items []uint64) {
	c.stage++
	for i, item := range items {
		items[i] = item * item
	}
}

//go:noinline
func increment(c *calls, items []uint64) {
	c.stage++
	for i := range items {
		items[i]++
	}
}

//go:noinline
func sum(c *calls, items []uint64) uint64 {
	c.sum++
	total := uint64(0)
	for _, item := range items {
		total += item
	}
	return total
}

//go:noinline
func burn(c *calls, state, units uint64) uint64 {
	c.burn++
	for ; units > 0; units-- {
		state = state*6364136223846793005 + 1442695040888963407
	}
	return state
}
