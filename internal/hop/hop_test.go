package hop_test

import (
	"testing"

	"pollbridge/internal/hop"
)

func TestHas(t *testing.T) {
	f := hop.Named([][]byte{[]byte("close, x-own"), []byte("X-Other")})
	for name, want := range map[string]bool{
		"Connection": true, "Te": true, "Upgrade": true, "X-Own": true, "X-Other": true, "Close": true,
		"X-Owner": false, "Content-Type": false, "": false,
	} {
		if got := f.Has([]byte(name)); got != want {
			t.Errorf("Has(%q) = %v, want %v", name, got, want)
		}
	}
	if (hop.Fields{}).Has([]byte("X-Own")) || !(hop.Fields{}).Has([]byte("Connection")) {
		t.Error("without Connection, other fields end here")
	}
}
