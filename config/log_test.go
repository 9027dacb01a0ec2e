package config_test

import (
	"log/slog"
	"strings"
	"testing"

	"pollbridge/config"
)

func TestLogHandler(t *testing.T) {
	for _, test := range []struct {
		config config.LogConfig
		want   string
	}{
		{config.Default().Log, "level=INFO msg=told\nlevel=ERROR msg=cried\n"},
		{config.LogConfig{Level: "debug", Format: "text"}, "level=DEBUG msg=whispered\nlevel=INFO msg=told\nlevel=ERROR msg=cried\n"},
		{config.LogConfig{Level: "error", Format: "json"}, `{"level":"ERROR","msg":"cried"}` + "\n"},
	} {
		var out strings.Builder
		log := slog.New(test.config.Handler(withoutTime{&out}))
		log.Debug("whispered")
		log.Info("told")
		log.Error("cried")
		if out.String() != test.want {
			t.Errorf("%+v logs\n%swant\n%s", test.config, out.String(), test.want)
		}
	}
}

// withoutTime drops the first attribute of a line.
type withoutTime struct{ *strings.Builder }

func (w withoutTime) Write(line []byte) (int, error) {
	text := string(line)
	if rest, isJSON := strings.CutPrefix(text, "{"); isJSON {
		_, rest, _ = strings.Cut(rest, ",")
		w.WriteString("{" + rest)
	} else {
		_, rest, _ = strings.Cut(text, " ")
		w.WriteString(rest)
	}
	return len(line), nil
}
