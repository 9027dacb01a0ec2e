package simulator

import (
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"time"
)

// signer is the test person who signs everything, with a certificate of its own making
// that no one trusts.
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
	Subject   map[string]string `json:"subject"`
	ValidFrom time.Time         `json:"valid_from"`
	ValidTo   time.Time         `json:"valid_to"`
	Value     []byte            `json:"value"` // DER
}

const serialNumber = "PNOLT-50001010006"

func newSigner(seed uint64) (signer, error) {
	keySeed := sha256.Sum256(fmt.Appendf(nil, "simulator %d", seed))
	key := ed25519.NewKeyFromSeed(keySeed[:])
	from := time.Now().UTC().Truncate(24 * time.Hour)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{Country: []string{"LT"}, CommonName: "TEST SIGNER", SerialNumber: serialNumber},
		NotBefore:    from,
		NotAfter:     from.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	// Without a source of randomness: ed25519 signs without one.
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	subject := map[string]string{"country": "LT", "name": "TEST", "surname": "SIGNER", "serial_number": serialNumber}
	return signer{person{"TEST", "SIGNER"}, certificate{subject, from, template.NotAfter, der}, key}, err
}

// signedFile is filler behind the head of a PDF: the same bytes whenever the token is
// asked for.
func signedFile(token string, size Size) *file {
	content := make([]byte, size)
	head := copy(content, "%PDF-1.7\n% simulated signed document "+token+"\n")
	rand.NewChaCha8(sha256.Sum256([]byte(token))).Read(content[head:])
	digest := sha1.Sum(content) // what the clients of this API compare
	return &file{"document_signed.pdf", content, hex.EncodeToString(digest[:])}
}

type file struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
	Digest  string `json:"digest"`
}
