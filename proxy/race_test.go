//go:build race

package proxy_test

// slowdown is by how much the race detector slows everything down, about.
const slowdown = 4
