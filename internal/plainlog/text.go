package plainlog

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// appendText appends a text, in quotes where slog's handler writes it so.
func appendText[T string | []byte](line []byte, text T) []byte {
	if needsQuotes(text) {
		return strconv.AppendQuote(line, string(text))
	}
	return append(line, text...)
}

func needsQuotes[T string | []byte](text T) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < utf8.RuneSelf {
			if isSpecial[text[i]] {
				return true
			}
			continue
		}
		if rest := text[i:]; len(rest) >= len(ellipsis) && string(rest[:len(ellipsis)]) == ellipsis {
			i += len(ellipsis) - 1
			continue
		}
		var buffer [utf8.UTFMax]byte
		r, size := utf8.DecodeRune(append(buffer[:0], text[i:min(i+utf8.UTFMax, len(text))]...))
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return true
		}
		i += size - 1
	}
	return len(text) == 0
}

// ellipsis stands where a text was cut, so it is met more often than all others.
const ellipsis = "…"

// isSpecial has the characters for which there are quotes.
var isSpecial = func() (table [utf8.RuneSelf]bool) {
	for c := range byte(' ' + 1) {
		table[c] = true
	}
	table['"'], table['='] = true, true
	return table
}()
