package admin

import "encoding/base64"

// cursor is a position in a list as clients see it: its kind, so that one of another list
// is noticed, and a position that only the service understands.
func cursor(kind byte, position string) string {
	if position == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte{kind}, position...))
}

// Kinds of cursors.
const (
	ofSubscriptions = 's'
	ofDeliveries    = 'd'
	ofSessions      = 'w'
	ofEvents        = 'e'
	ofRecoveries    = 'r'
)

// position reads a cursor; location is where it came from.
func position(kind byte, location, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < 2 || raw[0] != kind {
		return "", badCursor(location)
	}
	return string(raw[1:]), nil
}

func badCursor(location string) error {
	return at(location, "must be a cursor that this list returned")
}
