//go:build !race

package watch_test

const many = 20_000
