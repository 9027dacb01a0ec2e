// Package trial tries a whole fleet: real servers of NATS, real replicas, a load balancer in
// front, and faults that are done to them. It holds nothing but tests, which take minutes and are
// left out unless they are asked for:
//
//	go test -tags trial -timeout 90m ./fleet/trial
//
// POLLBRIDGE_TRIAL=full has each fault last as long as its description says, and more signings be
// under way; without it faults last a few seconds. .ci/fleet runs what is worth it with each change.
// Some need Linux, and root: for namespaces of networks, in the place of which they otherwise use
// relays, and for a small disk, without which they are skipped.
package trial
