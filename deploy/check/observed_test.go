package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"pollbridge/internal/testkit"
)

// expression is what an alert or a panel asks Prometheus for.
type expression struct {
	where, text string
	selectors   []selector
	labels      []string // which series are grouped by, or named after
}

// selector is series that an expression needs.
type selector struct {
	text   string // with what a label has to be, without what it must not be or may be
	metric string
	labels []string
}

// expressions returns those of the alerts and of the dashboard.
func expressions(t *testing.T) (all []expression) {
	t.Helper()
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	testkit.NoError(t, yaml.Unmarshal([]byte(read(t, "docs/alerts.yaml")), &alerts))
	for _, group := range alerts.Groups {
		for _, rule := range group.Rules {
			e := parse(t, "alert "+rule.Alert, rule.Expr)
			for _, text := range rule.Annotations {
				e.labels = append(e.labels, names(`\$labels\.(\w+)`, text)...)
			}
			all = append(all, e)
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	testkit.NoError(t, json.Unmarshal([]byte(read(t, "docs/grafana.json")), &board))
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", "pollbridge", "$instance", ".*")
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			e := parse(t, "panel "+panel.Title, variables.Replace(target.Expr))
			e.labels = append(e.labels, names(`{{(\w+)}}`, target.LegendFormat)...)
			all = append(all, e)
		}
	}
	return all
}

// names returns what stands in the place of the group of a pattern.
func names(pattern, text string) (found []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func parse(t *testing.T, where, text string) expression {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	e := expression{where: where, text: text}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			e.labels = append(e.labels, node.Grouping...)
		case *parser.BinaryExpr:
			if node.VectorMatching != nil {
				e.labels = append(e.labels, node.VectorMatching.MatchingLabels...)
			}
		case *parser.VectorSelector:
			s := selector{metric: node.Name}
			var equal []string
			for _, m := range node.LabelMatchers {
				if m.Name == model.MetricNameLabel {
					continue
				}
				s.labels = append(s.labels, m.Name)
				if m.Type == labels.MatchEqual {
					equal = append(equal, m.String())
				}
			}
			s.text = fmt.Sprintf("%s{%s}", node.Name, strings.Join(equal, ","))
			e.selectors = append(e.selectors, s)
		}
		return nil
	})
	return e
}

// TestDashboard: Grafana knows what the dashboard says, and no panel covers another.
func TestDashboard(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text := []byte(read(t, "docs/grafana.json"))
	var strict dashboard.Dashboard                                                //lint:ignore SA1019 the form of files, which every version reads
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" { // where nothing is wrong, a list of nothing
		t.Error(err)
	}
	if err := strict.Validate(); err != nil {
		t.Error(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	testkit.NoError(t, json.Unmarshal(text, &board))
	taken := map[[2]int]string{}
	var ids []int
	for _, p := range board.Panels {
		if slices.Contains(ids, p.ID) {
			t.Errorf("%s has the id of another panel", p.Title)
		}
		ids = append(ids, p.ID)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s covers %s, or is beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestAlerts: the rules are what Prometheus takes.
func TestAlerts(t *testing.T) {
	run(t, installed(t, "promtool"), "check", "rules", tree+"/docs/alerts.yaml")
	run(t, installed(t, "promtool"), "test", "rules", "testdata/alerts.yaml")
}
