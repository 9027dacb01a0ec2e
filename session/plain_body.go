package session

// plainCredential reads the body that nearly all clients send: the credential and
// nothing else, in characters that stand for themselves. A parser takes several times
// as long to say the same; it is asked about whatever is not that plain, right or wrong.
// The result is a part of body.
func plainCredential(body []byte, name string) (credential []byte, ok bool) {
	rest, ok := skipByte(body, '{')
	if !ok {
		return nil, false
	}
	found, rest, ok := plainString(rest)
	if !ok || string(found) != name {
		return nil, false
	}
	if rest, ok = skipByte(rest, ':'); !ok {
		return nil, false
	}
	if credential, rest, ok = plainString(rest); !ok {
		return nil, false
	}
	rest, ok = skipByte(rest, '}')
	return credential, ok && len(skipSpace(rest)) == 0
}

// plainString reads a string of printable ASCII characters without a backslash.
func plainString(text []byte) (content, rest []byte, ok bool) {
	text, ok = skipByte(text, '"')
	if !ok {
		return nil, nil, false
	}
	for i, c := range text {
		switch {
		case c == '"':
			return text[:i], text[i+1:], true
		case c < ' ', c > '~', c == '\\':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// skipByte skips a byte, and white space before it.
func skipByte(text []byte, c byte) (rest []byte, ok bool) {
	text = skipSpace(text)
	if len(text) == 0 || text[0] != c {
		return nil, false
	}
	return text[1:], true
}

// skipSpace skips what JSON takes for white space.
func skipSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n') {
		text = text[1:]
	}
	return text
}
