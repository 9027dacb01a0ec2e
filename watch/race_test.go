//go:build race

package watch_test

const many = 2_000
