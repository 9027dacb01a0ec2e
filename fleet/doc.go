// Package fleet has each session looked after by one of the replicas that share a store, and by
// no other: that one asks the upstream about it, for whoever wants to know, and watches it.
//
// Sessions lie in slots, by a hash of their id. A slot has a holder, which is written in the
// store by compare-and-set, so there are never two of them there. What a holder may do is
// fenced by time: it says every few seconds that it is there, and stops as soon as it does not
// know that this was heard, long before anybody else takes its slots. Clocks need not agree:
// each compares its own only with itself.
//
// A replica that wants something of a session asks the holder. Where that has gone, or gives no
// sign of life, it takes the slot itself. What nobody asks for is taken after a while by those
// who have fewer slots than others. A replica that ends hands its slots over.
package fleet
