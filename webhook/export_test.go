package webhook

import (
	"crypto/x509"
	"net"
	"time"
)

// The parts that tests replace, because nobody else should.

func (o *Options) SetDialing(resolver *net.Resolver, roots *x509.CertPool) {
	o.dialing = dialing{resolver, roots}
}

func (o *Options) SetTimes(disableAfter, openFor time.Duration) {
	o.disableAfter, o.openFor = disableAfter, openFor
}

// Sweep closes lanes that are idle now.
func (s *Service) Sweep() { s.lanes.sweep(s.living, 0) }
