package admin

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docsPolicy lets the page do nothing but be read.
const docsPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed docs.html
var docsText string

var docsTemplate = template.Must(template.New("docs").Funcs(template.FuncMap{
	"anchor":     strings.ToLower,
	"contains":   slices.Contains[[]string],
	"limits":     limits,
	"operations": operations,
	"schemaName": schemaName,
	"typeName":   typeName,
}).Parse(docsText))

// docsPage renders the description for people. It needs nothing but itself: no script,
// no style and no font from elsewhere.
func docsPage(description *huma.OpenAPI) []byte {
	var page bytes.Buffer
	if err := docsTemplate.Execute(&page, description); err != nil {
		panic(fmt.Sprintf("admin: the API cannot be shown: %v", err)) // a mistake in this package
	}
	return page.Bytes()
}

// operations are those of a tag, by path, and then its webhooks.
func operations(description *huma.OpenAPI, tag *huma.Tag) (all []*huma.Operation) {
	for _, path := range slices.Sorted(maps.Keys(description.Paths)) {
		item := description.Paths[path]
		for _, op := range []*huma.Operation{item.Post, item.Get, item.Patch, item.Delete} {
			if op != nil && slices.Contains(op.Tags, tag.Name) {
				all = append(all, op)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(description.Webhooks)) {
		if op := description.Webhooks[name].Post; slices.Contains(op.Tags, tag.Name) {
			all = append(all, op)
		}
	}
	return all
}

// schemaName names the schema that a field or a body holds, or the items of a list. It is
// empty if that is not one of the page's.
func schemaName(schema *huma.Schema) string {
	switch {
	case schema == nil:
		return ""
	case schema.Items != nil:
		return schemaName(schema.Items)
	}
	return schema.Ref[strings.LastIndexByte(schema.Ref, '/')+1:]
}

// typeName says what a field holds besides the schema that schemaName names.
func typeName(schema *huma.Schema) string {
	switch {
	case schema.Ref != "":
		return ""
	case schema.Type == huma.TypeArray:
		return strings.TrimSpace("list of " + typeName(schema.Items))
	case schema.Type == "":
		return "any JSON"
	case schema.Format == "date-time":
		return "time (RFC 3339)"
	}
	return schema.Type
}

func limits(schema *huma.Schema) string {
	enum := schema.Enum
	if schema.Items != nil {
		enum = append(enum, schema.Items.Enum...)
	}
	all := []string{
		schema.PatternDescription,
		limit("at least %v", schema.Minimum),
		limit("at most %v", schema.Maximum),
		limit("at most %d characters", schema.MaxLength),
		limit("at most %d", schema.MaxItems),
		limit("at most %d", schema.MaxProperties),
	}
	if schema.Default != nil {
		all = append(all, fmt.Sprint("default ", schema.Default))
	}
	if len(enum) > 0 {
		all = append(all, "one of "+strings.Trim(fmt.Sprint(enum), "[]"))
	}
	return strings.Join(slices.DeleteFunc(all, func(text string) bool { return text == "" }), "; ")
}

func limit[T any](format string, value *T) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf(format, *value)
}
