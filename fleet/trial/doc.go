// Package trial tries a whole fleet: real servers of NATS, real replicas, a load balancer in
// front, and faults that are done to them. It holds nothing but tests, which take minutes and are
// left out unless they are asked for:
//
//	go test -tags fleet ./fleet/trial
//
// POLLBRIDGE_TRIAL=full has each fault last as long as its description says, and more signings be
// under way; without it all takes a few minutes.
package trial
