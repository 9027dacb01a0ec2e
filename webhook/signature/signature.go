// Package signature signs and verifies webhooks as Standard Webhooks 1.0 has it: v1 with a
// secret that both sides know, and v1a with a pair of ed25519 keys.
package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The header fields of Standard Webhooks 1.0.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// The kinds of signatures.
const (
	V1  = "v1"  // HMAC-SHA256
	V1a = "v1a" // ed25519
)

// Tolerance is how far the timestamp of a webhook may be from the receiver's clock.
const Tolerance = 5 * time.Minute

// Prefixes of keys: shared secret, secret half and public half of an ed25519 pair.
const (
	secretPrefix  = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// Why a webhook cannot be trusted, see Verify.
var (
	ErrMissing   = errors.New("webhook: webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
	ErrMismatch  = errors.New("webhook: no signature matches the message and the keys")
	ErrTimestamp = errors.New("webhook: the timestamp is too far from now, a replay or a wrong clock")
)

// NewSecret returns a new shared secret: whsec_….
func NewSecret() string {
	random := make([]byte, 32)
	rand.Read(random) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(random)
}

// NewKeyPair returns a new ed25519 pair: whsk_… to sign, whpk_… to verify.
func NewKeyPair() (private, public string) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails
	return privatePrefix + base64.StdEncoding.EncodeToString(seed), publicOf(seed)
}

// PublicKey returns the public half, whpk_…, of a private key.
func PublicKey(private string) (string, error) {
	seed, err := seedOf(private)
	if err != nil {
		return "", err
	}
	return publicOf(seed), nil
}

func publicOf(seed []byte) string {
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	return publicPrefix + base64.StdEncoding.EncodeToString(public)
}

// Sign returns the value of webhook-signature for a message: one signature for each
// key, v1 for whsec_… and v1a for whsk_…, separated by spaces. The error names no key.
func Sign(id string, at time.Time, payload []byte, keys ...string) (string, error) {
	content := signedContent(id, strconv.FormatInt(at.Unix(), 10), payload)
	signatures := make([]string, 0, len(keys))
	for _, key := range keys {
		signature, err := signWith(key, content)
		if err != nil {
			return "", err
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}

func signWith(key string, content []byte) (string, error) {
	if strings.HasPrefix(key, privatePrefix) {
		seed, err := seedOf(key)
		if err != nil {
			return "", err
		}
		return V1a + "," + base64.StdEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed), content)), nil
	}
	secret, err := secretKey(key)
	if err != nil {
		return "", err
	}
	return V1 + "," + base64.StdEncoding.EncodeToString(mac(secret, content)), nil
}

// Verify returns nil if a message was signed with one of the keys, whsec_… or whpk_…,
// no longer than Tolerance before or after now. The errors are ErrMissing,
// ErrMismatchand ErrTimestamp, and one about a key that is none.
func Verify(header http.Header, payload []byte, now time.Time, keys ...string) error {
	id, timestamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), header.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || signatures == "" {
		return ErrMissing
	}
	content := signedContent(id, timestamp, payload)
	verified := false
	for _, key := range keys {
		for signature := range strings.FieldsSeq(signatures) {
			ok, err := verifyWith(key, signature, content)
			if err != nil {
				return err
			}
			verified = verified || ok
		}
	}
	switch age := now.Sub(time.Unix(seconds, 0)); {
	case !verified:
		return ErrMismatch
	case age > Tolerance || age < -Tolerance:
		return ErrTimestamp
	}
	return nil
}

func verifyWith(key, signature string, content []byte) (bool, error) {
	version, encoded, _ := strings.Cut(signature, ",")
	given, unreadable := base64.StdEncoding.DecodeString(encoded)
	if strings.HasPrefix(key, publicPrefix) {
		public, err := decodeKey(key, publicPrefix, ed25519.PublicKeySize, ed25519.PublicKeySize)
		return err == nil && unreadable == nil && version == V1a && ed25519.Verify(public, content, given), err
	}
	secret, err := secretKey(key)
	return err == nil && unreadable == nil && version == V1 && hmac.Equal(given, mac(secret, content)), err
}

func signedContent(id, timestamp string, payload []byte) []byte {
	return slices.Concat([]byte(id+"."+timestamp+"."), payload)
}

func mac(secret, content []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(content)
	return h.Sum(nil)
}

// IsSecret reports whether a text is a shared secret that can sign: whsec_ and the base64
// of 24 to 64 bytes.
func IsSecret(text string) bool {
	_, err := secretKey(text)
	return err == nil
}

func secretKey(secret string) ([]byte, error) { return decodeKey(secret, secretPrefix, 24, 64) }

func seedOf(private string) ([]byte, error) {
	return decodeKey(private, privatePrefix, ed25519.SeedSize, ed25519.SeedSize)
}

func decodeKey(key, prefix string, least, most int) ([]byte, error) {
	encoded, found := strings.CutPrefix(key, prefix)
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !found || err != nil || len(decoded) < least || len(decoded) > most {
		return nil, fmt.Errorf("webhook: invalid key: must be %s and the base64 of %d to %d bytes (the value is not shown)", prefix, least, most)
	}
	return decoded, nil
}
