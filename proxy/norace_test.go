//go:build !race

package proxy_test

const slowdown = 1
