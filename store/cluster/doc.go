// Package cluster is a connection to the JetStream of a NATS cluster that others run.
//
// It is usable while a small write to the cluster is acknowledged in time. Where it is not,
// [Cluster.Usable] says why until it is again: the connection is lost, there is no leader, the
// disk is full, a permission was withdrawn. Nothing has to be started anew for that.
package cluster
