package simulator

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"
)

// signer is the test person who signs everything, with a certificate of its own
// making that no one trusts.
type signer struct {
	person      person
	certificate certificate
	key         ed25519.PrivateKey
}

type person struct {
	Name    string `json:"name"`
	Surname string `json:"surname"`
}

type certificate struct {
	Subject   certificateSubject `json:"subject"`
	ValidFrom time.Time          `json:"valid_from"`
	ValidTo   time.Time          `json:"valid_to"`
	Value     string             `json:"value"` // DER in base64
}

type certificateSubject struct {
	Country      string `json:"country"`
	Name         string `json:"name"`
	Surname      string `json:"surname"`
	SerialNumber string `json:"serial_number"`
}

func newSigner(seed uint64, now time.Time) (signer, error) {
	subject := certificateSubject{Country: "LT", Name: "TEST", Surname: "SIGNER", SerialNumber: "PNOLT-50001010006"}
	keySeed := sha256.Sum256(fmt.Appendf(nil, "simulator %d", seed))
	key := ed25519.NewKeyFromSeed(keySeed[:])
	from := now.UTC().Truncate(24 * time.Hour)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject: pkix.Name{
			Country: []string{subject.Country}, CommonName: subject.Name + " " + subject.Surname, SerialNumber: subject.SerialNumber,
		},
		NotBefore: from,
		NotAfter:  from.AddDate(1, 0, 0),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	// Without a source of randomness: ed25519 signs without one.
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return signer{}, err
	}
	return signer{
		person:      person{subject.Name, subject.Surname},
		certificate: certificate{subject, template.NotBefore, template.NotAfter, base64.StdEncoding.EncodeToString(der)},
		key:         key,
	}, nil
}

// sign returns a signature over the token, since the hash of a session is not
// kept.
func (s signer) sign(token string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, []byte(token)))
}
