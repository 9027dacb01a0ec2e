// Command bench compares pollbridge with a bare Fiber server, nginx, Varnish and
// Caddy on one machine, and prints what each of them cost.
//
// What it may be trusted for are ratios within one run: the servers are measured
// in turn, round by round, so whatever else the machine does meets all of them,
// and the cost is the CPU time that the kernel charged to a server and its
// children, not time on a clock. A ratio is taken within each round; the tables
// show the median and the range.
//
// It starts every server itself, on loopback ports that were free a moment
// before, and stops by process id what it started, also when it fails or is
// interrupted. A server that is not installed is left out and named.
//
// It needs Linux: CPU time and memory are read from /proc.
package main
