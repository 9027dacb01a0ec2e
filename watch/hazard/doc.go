// Package hazard learns when sessions end, and from that when they are polled: often where an end
// is likely, seldom where it is not, and late by no more on average than if they were polled at a
// fixed interval. It does no I/O and reads no clock.
//
// The hazard of an age is how likely a session that is still pending ends within the next moment.
// With n(t) polls a second at the age t and the hazard h(t), a session costs ∫ S(t) n(t) dt polls,
// S(t) being the share of sessions that are pending then, and its end goes unnoticed for
// ∫ S(t) h(t) / 2n(t) dt on average. For a given delay the polls are fewest if n(t) is proportional
// to the square root of h(t) (Barlow, Hunter and Proschan 1963; Keller 1974), cut off where bounds
// say so. Counts estimates h, Curve is n.
//
// Nothing that a session does takes a gap out of its bounds, and each counts for one.
package hazard
