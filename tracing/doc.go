// Package tracing has the spans of the program: which there are, what they are called, and
// what they say, in the words of OpenTelemetry's semantic conventions.
//
// Its promises, and what keeps each of them:
//
//   - Where tracing is off it costs nothing: a nil [Tracer] makes nil spans, and a nil [Span]
//     takes whatever it is told, so nobody who makes spans has to ask.
//   - Nothing secret is in a span: it says what the functions of this package take, and none
//     takes a token, a query, a field of a header, a body, or the text of an error.
//   - A span that is not recorded is passed on all the same, as one that is not.
//
// It makes spans with the interface of OpenTelemetry. What becomes of them is not known here:
// see package otlp.
package tracing
