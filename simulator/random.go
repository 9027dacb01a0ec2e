package simulator

import (
	"fmt"
	"math/rand/v2"
)

// Each use has its own sequence, so that a fault with a probability, say, does
// not change which tokens and outcomes the next sessions get.
const (
	forSessions = iota + 1
	forLatency
	forFaults
)

// randomness is one sequence of random choices. It is guarded by Simulator.mu.
type randomness struct{ *rand.Rand }

func newRandomness(seed, use uint64) randomness {
	return randomness{rand.New(rand.NewPCG(seed, use))}
}

// token looks like the upstream's: a version 4 UUID.
func (r randomness) token() string {
	hi, lo := r.Uint64(), r.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

// controlCode is what the phone shows next to the question.
func (r randomness) controlCode() string { return fmt.Sprintf("%04d", r.IntN(10_000)) }

func seeded(key [32]byte) *rand.Rand { return rand.New(rand.NewChaCha8(key)) }
