package config

import (
	"regexp"
	"strings"
)

const (
	envPrefix = "POLLBRIDGE_"
	// envAdminKey holds one more key for admin.keys: the usual way to hand a single
	// secret to a container.
	envAdminKey = envPrefix + "ADMIN_KEY"
)

// injected matches what Kubernetes sets in every pod for a Service named
// pollbridge, or pollbridge-SOMETHING. Nobody wrote it, so it is no mistake.
var injected = regexp.MustCompile(`^POLLBRIDGE_(` +
	`SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_.*` +
	`|\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?` +
	`)=|^POLLBRIDGE_\w+_PORT=(tcp|udp|sctp)://`)

// fromEnvironment reads variables of the form NAME=VALUE and returns the key of
// envAdminKey apart. A variable that is empty counts as not set.
func fromEnvironment(environment []string) (l *layer, adminKey string) {
	l = newLayer()
	byName := map[string]setting{}
	names := []string{envAdminKey}
	for _, s := range settings {
		name := envName(s.key)
		byName[name] = s
		names = append(names, name)
	}
	for _, variable := range environment {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || text == "" {
			continue
		}
		source := "environment " + name
		s, known := byName[name]
		switch {
		case name == envAdminKey:
			adminKey = text
		case known:
			value, problem := fromLine(text, s)
			if problem != "" {
				l.mistake(s.key, source, problem)
				continue
			}
			l.set(s.key, source, value)
		case injected.MatchString(variable):
		default:
			l.mistake("", source, "is no setting"+suggestion(name, names))
		}
	}
	return l, adminKey
}

// envName is the variable that sets key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}
