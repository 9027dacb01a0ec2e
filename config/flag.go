package config

import (
	"maps"
	"slices"

	"pollbridge/internal/check"
)

// flagNames are the flags that set something, by its key.
var flagNames = map[string]string{
	"upstream.url": "--upstream",
	"listen":       "--listen",
	"admin.listen": "--admin-listen",
	"store.dir":    "--data-dir",
}

// fromFlags reads values by the key of their setting.
func fromFlags(flags map[string]any) *layer {
	l := newLayer()
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		source := "flag"
		if name, found := flagNames[key]; found {
			source += " " + name
		}
		s, known := settingByKey(key)
		if !known {
			l.mistake(key, source, "is no setting")
			continue
		}
		value, problem := fromLine(check.Text(flags[key]), s)
		if problem != "" {
			l.mistake(key, source, problem)
			continue
		}
		l.set(key, source, value)
	}
	return l
}
