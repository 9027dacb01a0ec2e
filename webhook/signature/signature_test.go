package signature_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pollbridge/webhook/signature"
)

// The vectors that the Standard Webhooks project publishes with its libraries.
const (
	vectorID      = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorSeconds = 1614265330
	vectorPayload = `{"test": 2432232314}`
	vectorSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorV1      = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorPrivate = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
	vectorV1a     = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
)

func signed(signature string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", vectorID)
	h.Set("webhook-timestamp", strconv.Itoa(vectorSeconds))
	h.Set("webhook-signature", signature)
	return h
}

func TestSignaturesAreThePublishedOnes(t *testing.T) {
	at := time.Unix(vectorSeconds, 0)
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{vectorSecret}, vectorV1},
		{[]string{vectorPrivate}, vectorV1a},
		{[]string{vectorSecret, vectorPrivate}, vectorV1 + " " + vectorV1a},
	} {
		got, err := signature.Sign(vectorID, at, []byte(vectorPayload), c.keys...)
		if got != c.want || err != nil {
			t.Errorf("Sign = %q, %v; want %q", got, err, c.want)
		}
	}
	public, err := signature.PublicKey(vectorPrivate)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{vectorSecret, public} {
		if err := signature.Verify(signed(vectorV1+" "+vectorV1a), []byte(vectorPayload), at, key); err != nil {
			t.Errorf("Verify with %s… = %v", key[:6], err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	at := time.Unix(vectorSeconds, 0)
	_, otherPublic := signature.NewKeyPair()
	public, _ := signature.PublicKey(vectorPrivate)
	without := func(name string) http.Header {
		h := signed(vectorV1)
		h.Del(name)
		return h
	}
	for _, c := range []struct {
		name    string
		header  http.Header
		payload string
		now     time.Time
		key     string
		want    error
	}{
		{"another payload", signed(vectorV1), vectorPayload + " ", at, vectorSecret, signature.ErrMismatch},
		{"another secret", signed(vectorV1), vectorPayload, at, signature.NewSecret(), signature.ErrMismatch},
		{"another public key", signed(vectorV1a), vectorPayload, at, otherPublic, signature.ErrMismatch},
		{"v1 for a public key", signed(vectorV1), vectorPayload, at, public, signature.ErrMismatch},
		{"v1a for a secret", signed(vectorV1a), vectorPayload, at, vectorSecret, signature.ErrMismatch},
		{"the other version's name", signed("v1," + vectorV1a[4:]), vectorPayload, at, public, signature.ErrMismatch},
		{"half a signature", signed("v1,"), vectorPayload, at, vectorSecret, signature.ErrMismatch},
		{"no base64", signed("v1,***"), vectorPayload, at, vectorSecret, signature.ErrMismatch},
		{"no id", without("webhook-id"), vectorPayload, at, vectorSecret, signature.ErrMissing},
		{"no timestamp", without("webhook-timestamp"), vectorPayload, at, vectorSecret, signature.ErrMissing},
		{"no signature", without("webhook-signature"), vectorPayload, at, vectorSecret, signature.ErrMissing},
		{"too old", signed(vectorV1), vectorPayload, at.Add(signature.Tolerance + time.Second), vectorSecret, signature.ErrTimestamp},
		{"too new", signed(vectorV1), vectorPayload, at.Add(-signature.Tolerance - time.Second), vectorSecret, signature.ErrTimestamp},
		{"the last moment", signed(vectorV1), vectorPayload, at.Add(signature.Tolerance), vectorSecret, nil},
		{"one of several", signed("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x " + vectorV1), vectorPayload, at, vectorSecret, nil},
	} {
		if err := signature.Verify(c.header, []byte(c.payload), c.now, c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: Verify = %v; want %v", c.name, err, c.want)
		}
	}
}

func TestKeysAreNotRepeated(t *testing.T) {
	random := base64.StdEncoding.EncodeToString(make([]byte, 20))
	for _, key := range []string{"whsec_" + random, "whsk_" + random, "whpk_" + random, random, ""} {
		_, signing := signature.Sign("a", time.Now(), nil, key)
		verifying := signature.Verify(signed(vectorV1), nil, time.Now(), key)
		for _, err := range []error{signing, verifying} {
			if err == nil || strings.Contains(err.Error(), random) {
				t.Errorf("with a key of 20 bytes: %v; want an error that does not show it", err)
			}
		}
	}
}
