package otlp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"regexp"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// answered is how the exporter says which status of HTTP the collector has answered.
var answered = regexp.MustCompile(`: ([1-5][0-9]{2} [A-Z][A-Za-z -]{0,40}) \(`)

// reasonOf is why spans were not sent. The error itself has the URL in it, and what the
// collector says, which may repeat what it was sent.
func reasonOf(err error) string {
	var operation *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return "the certificate is not trusted: " + certificate.Err.Error()
	case errors.As(err, &operation):
		return operation.Op + ": " + operation.Err.Error()
	case errors.Is(err, context.Canceled):
		return "the program ends"
	case errors.Is(err, context.DeadlineExceeded):
		return "they were not taken in time"
	}
	if found := answered.FindStringSubmatch(err.Error()); found != nil {
		return "the collector answers " + found[1]
	}
	if code := status.Code(err); code != codes.Unknown && code != codes.OK {
		return "the collector cannot be reached, or answers " + code.String()
	}
	return "the collector does not take them"
}
