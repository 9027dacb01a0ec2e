//go:build !fleet

package config

// fleetIsBuilt says whether store.nats is accepted: what is there of a fleet is only tried so far,
// with the build tag fleet.
const fleetIsBuilt = false
