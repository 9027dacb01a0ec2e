package check

import (
	"encoding/json"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"pollbridge/internal/testkit"
)

// TestGrafana: the Grafana of compose.yaml finds the Prometheus there, and the dashboard, which
// asks for a source of that type.
func TestGrafana(t *testing.T) {
	project := compose(t, tree+"/deploy/compose.yaml", "POLLBRIDGE_UPSTREAM_URL=x", "POLLBRIDGE_ADMIN_KEY=x", "NATS_PASSWORD=x", "GRAFANA_PASSWORD=x")
	var provisioning string
	var dashboards []types.ServiceVolumeConfig
	for _, v := range project.Services["grafana"].Volumes {
		switch {
		case v.Type != types.VolumeTypeBind:
		case v.Target == "/etc/grafana/provisioning": // where Grafana looks
			provisioning = v.Source
		case strings.HasSuffix(v.Target, ".json"):
			dashboards = append(dashboards, v)
		}
	}

	var sources struct {
		Version int `yaml:"apiVersion"`
		Sources []struct {
			Name    string `yaml:"name"`
			UID     string `yaml:"uid"`
			Type    string `yaml:"type"`
			Access  string `yaml:"access"`
			URL     string `yaml:"url"`
			Default bool   `yaml:"isDefault"`
		} `yaml:"datasources"`
	}
	strictly(t, filepath.Join(provisioning, "datasources"), &sources)
	if sources.Version != 1 || len(sources.Sources) != 1 {
		t.Fatalf("the sources are %+v; want one, of version 1", sources)
	}
	source := sources.Sources[0]
	at, err := url.Parse(source.URL)
	testkit.NoError(t, err)
	if listens := "--web.listen-address=0.0.0.0:" + at.Port(); at.Scheme != "http" || !slices.Contains(project.Services[at.Hostname()].Command, listens) {
		t.Errorf("%s is no service of compose.yaml that runs with %s", source.URL, listens)
	}
	if source.Access != "proxy" { // the service's name means nothing to a browser
		t.Errorf("the source is reached by %q; want proxy", source.Access)
	}

	var providers struct {
		Version   int `yaml:"apiVersion"`
		Providers []struct {
			Name    string `yaml:"name"`
			Type    string `yaml:"type"`
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}
	strictly(t, filepath.Join(provisioning, "dashboards"), &providers)
	if providers.Version != 1 || len(providers.Providers) != 1 || providers.Providers[0].Type != "file" {
		t.Fatalf("the providers are %+v; want one of files, of version 1", providers)
	}
	if len(dashboards) != 1 || path.Dir(dashboards[0].Target) != providers.Providers[0].Options.Path {
		t.Fatalf("the dashboards are %+v; want one in %s", dashboards, providers.Providers[0].Options.Path)
	}
	text, err := os.ReadFile(dashboards[0].Source)
	testkit.NoError(t, err)
	var board struct {
		Templating struct {
			List []struct{ Type, Query string }
		}
	}
	testkit.NoError(t, json.Unmarshal(text, &board))
	if want := (struct{ Type, Query string }{"datasource", source.Type}); !slices.Contains(board.Templating.List, want) {
		t.Errorf("the dashboard asks for no source of type %s: %+v", source.Type, board.Templating.List)
	}
}

// strictly reads the one file of a folder. What is unknown Grafana would skip without a word.
func strictly(t *testing.T, folder string, into any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	testkit.NoError(t, err)
	if len(files) != 1 {
		t.Fatalf("%s has %q; want one file", folder, files)
	}
	file, err := os.Open(files[0])
	testkit.NoError(t, err)
	defer file.Close()
	strict := yaml.NewDecoder(file)
	strict.KnownFields(true)
	if err := strict.Decode(into); err != nil {
		t.Errorf("%s: %v", files[0], err)
	}
}
