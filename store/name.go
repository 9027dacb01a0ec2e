package store

import (
	"fmt"
	"strings"
)

const maxKey = 255

const tokenLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_="

// isToken reports whether s is a single token of a key.
func isToken(s string) bool { return s != "" && strings.Trim(s, tokenLetters) == "" }

// IsID reports whether text from outside may be an id: a token of a key, no longer than
// 64 bytes and without "=".
func IsID(text string) bool {
	return len(text) <= 64 && isToken(text) && !strings.Contains(text, "=")
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("store: a key of %d bytes: want no more than %d", len(key), maxKey)
	}
	for token := range strings.SplitSeq(key, ".") {
		if !isToken(token) {
			return fmt.Errorf("store: %q is not a valid key: want tokens of letters, digits, -, _ and =, separated by dots", key)
		}
	}
	return nil
}

// checkTokens checks the subject and the name of an item.
func checkTokens(tokens ...string) error {
	for _, token := range tokens {
		if !isToken(token) || len(token) > maxKey {
			return fmt.Errorf("store: %q is not a single token of a key", token)
		}
	}
	return nil
}

func checkMatch(match string) error {
	tokens := strings.Split(match, ".")
	for i, token := range tokens {
		if !isToken(token) && token != "*" && (token != ">" || i != len(tokens)-1) {
			return fmt.Errorf("store: %q is not a valid match: want a key in which * stands for one token and a > at the end for all further ones", match)
		}
	}
	return nil
}
