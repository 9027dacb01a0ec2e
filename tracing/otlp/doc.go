// Package otlp sends spans to a collector of OpenTelemetry, over HTTP or over gRPC, by the
// official SDK.
//
// Its promises, and what keeps each of them:
//
//   - Whoever ends a span waits for nobody: there is a bounded queue, and what finds it full
//     is dropped and counted, as is what the collector does not take.
//   - Nothing of the settings is logged, nor of what the collector says: see reasonOf.
//   - Closing takes no longer than it may, whatever the collector does.
//
// How much is recorded, and what the collector wants to be sent besides, is in the variables
// of the environment that OpenTelemetry specifies: see environment.go for those that count.
package otlp
