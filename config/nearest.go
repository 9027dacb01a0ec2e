package config

import (
	"fmt"
	"strings"
)

// suggestion names the candidate that name was probably meant to be, as the end
// of a sentence. It is empty if none is close.
func suggestion(name string, candidates []string) string {
	best, least := "", len(name)/4+2
	for _, candidate := range candidates {
		if d := distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		best = elsewhere(name, candidates)
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// elsewhere returns the only candidate with the same last part as name: somebody
// forgot or mistook the section.
func elsewhere(name string, candidates []string) string {
	var only string
	for _, candidate := range candidates {
		if lastPart(candidate) != lastPart(name) {
			continue
		}
		if only != "" {
			return ""
		}
		only = candidate
	}
	return only
}

func lastPart(key string) string {
	return key[strings.LastIndexByte(key, '.')+1:]
}

// distance is the least number of bytes to insert, delete or replace that makes
// b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
