//go:build fleet

package config

const fleetIsBuilt = true
