package admin

import (
	"bytes"
	_ "embed"
	"encoding/json"
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
	"anchor":   strings.ToLower,
	"limits":   limits,
	"isSchema": func(name string) bool { return !strings.Contains(name, "/") },
}).Parse(docsText))

// docsPage renders the description for people. It needs nothing but itself: no script,
// no style and no font from elsewhere.
func docsPage(description *huma.OpenAPI) []byte {
	var page bytes.Buffer
	if err := docsTemplate.Execute(&page, newDocs(description)); err != nil {
		panic(fmt.Sprintf("admin: the API cannot be shown: %v", err)) // a mistake in this package
	}
	return page.Bytes()
}

type docs struct {
	Info    *huma.Info
	Groups  []docsGroup
	Schemas []docsSchema
}

type docsGroup struct {
	*huma.Tag
	Operations []docsOperation
}

type docsOperation struct {
	*huma.Operation
	Body      string // the name of its schema
	Responses []docsResponse
}

type docsResponse struct {
	Status, Description string
	Body                string // the name of its schema, or a media type
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name     string
	Required bool
	Type     string
	Schema   string // the name of the schema that Type ends with, or empty
	Doc      string
	Limits   string
}

func newDocs(description *huma.OpenAPI) docs {
	d := docs{Info: description.Info}
	for _, tag := range description.Tags {
		group := docsGroup{Tag: tag}
		for _, path := range slices.Sorted(maps.Keys(description.Paths)) {
			item := description.Paths[path]
			for _, op := range []*huma.Operation{item.Post, item.Get, item.Patch, item.Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					group.Operations = append(group.Operations, newDocsOperation(op))
				}
			}
		}
		d.Groups = append(d.Groups, group)
	}
	schemas := description.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		d.Schemas = append(d.Schemas, newDocsSchema(name, schemas[name]))
	}
	return d
}

func newDocsOperation(op *huma.Operation) docsOperation {
	o := docsOperation{Operation: op}
	if op.RequestBody != nil {
		o.Body = bodyName(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		o.Responses = append(o.Responses, docsResponse{status, response.Description, bodyName(response.Content)})
	}
	return o
}

// bodyName is the name of the schema of a body, or its media type. No body here has more
// than one.
func bodyName(content map[string]*huma.MediaType) string {
	kinds := slices.Sorted(maps.Keys(content))
	if len(kinds) == 0 {
		return ""
	}
	if schema := content[kinds[0]].Schema; schema != nil && schema.Ref != "" {
		return schemaName(schema.Ref)
	}
	return kinds[0]
}

func schemaName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func newDocsSchema(name string, schema *huma.Schema) docsSchema {
	s := docsSchema{Name: name}
	for _, field := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[field]
		kind, of := typeName(property)
		s.Fields = append(s.Fields, docsField{
			Name: field, Required: slices.Contains(schema.Required, field),
			Type: kind, Schema: of, Doc: property.Description, Limits: limits(property),
		})
	}
	return s
}

// typeName says what a field holds, and names the schema in it if there is one.
func typeName(schema *huma.Schema) (kind, of string) {
	switch {
	case schema.Ref != "":
		return "", schemaName(schema.Ref)
	case schema.Type == huma.TypeArray:
		kind, of = typeName(schema.Items)
		return strings.TrimSpace("list of " + kind), of
	case schema.Type == "":
		return "any JSON", ""
	case schema.Format == "date-time":
		return "time (RFC 3339)", ""
	}
	return schema.Type, ""
}

func limits(schema *huma.Schema) string {
	var all []string
	add := func(format string, value any) { all = append(all, fmt.Sprintf(format, value)) }
	if schema.Pattern != "" {
		all = append(all, schema.PatternDescription)
	}
	if schema.Minimum != nil {
		add("at least %v", *schema.Minimum)
	}
	if schema.Maximum != nil {
		add("at most %v", *schema.Maximum)
	}
	if schema.MaxLength != nil {
		add("at most %d characters", *schema.MaxLength)
	}
	if schema.MaxItems != nil {
		add("at most %d", *schema.MaxItems)
	}
	if schema.MaxProperties != nil {
		add("at most %d", *schema.MaxProperties)
	}
	if schema.Default != nil {
		if text, err := json.Marshal(schema.Default); err == nil {
			add("default %s", text)
		}
	}
	enum := schema.Enum
	if schema.Items != nil {
		enum = append(enum, schema.Items.Enum...)
	}
	if len(enum) > 0 {
		add("one of %s", strings.Trim(fmt.Sprint(enum), "[]"))
	}
	return strings.Join(all, "; ")
}
