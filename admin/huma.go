package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pollbridge/admin/api"
)

// Huma keeps these in package variables. Nothing else in the program uses it.
func init() {
	huma.ValidateStrictCasing = true  // "URL" is not url
	huma.DefaultArrayNullable = false // lists are never null
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		return newProblem(status, detail, errs...)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
		if b, ok := ctx.Context().Value(besidesKey{}).(*besides); ok && status == http.StatusUnprocessableEntity {
			errs = append(errs, b.all()...)
		}
		return newProblem(status, detail, errs...)
	}
}

// strictJSON reads bodies without forgiveness: a name that is given twice, in another
// case or not at all known is an error, so that nobody believes in a setting that was
// never made.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		return jsonv2.MarshalWrite(w, v, jsontext.AllowInvalidUTF8(true))
	},
	Unmarshal: func(data []byte, v any) error {
		err := jsonv2.Unmarshal(data, v, jsonv2.RejectUnknownMembers(true))
		if err == nil {
			return nil
		}
		if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			return malformed(syntax)
		}
		// Its text may quote what was sent.
		if semantic, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
			return fmt.Errorf("invalid value%s", within(semantic.JSONPointer))
		}
		return errors.New("cannot be read")
	},
}

func malformed(syntax *jsontext.SyntacticError) error {
	problem := "unexpected character or end of input"
	switch {
	case errors.Is(syntax.Err, jsontext.ErrDuplicateName):
		problem = "duplicate name"
	case errors.Is(syntax.Err, io.ErrUnexpectedEOF):
		problem = "unexpected end of input"
	}
	return fmt.Errorf("malformed JSON at byte %d%s: %s", syntax.ByteOffset, within(syntax.JSONPointer), problem)
}

func within(pointer jsontext.Pointer) string {
	var path []string
	for token := range pointer.Tokens() {
		path = append(path, shorten(token))
	}
	if path == nil {
		return ""
	}
	return " in " + strings.Join(path, ".")
}

// document is the finished OpenAPI description as JSON. It leaves the description without
// what is not OpenAPI.
func document(description *huma.OpenAPI) []byte {
	for _, schema := range description.Components.Schemas.Map() {
		standard(schema)
	}
	for _, item := range description.Paths {
		for _, op := range []*huma.Operation{item.Post, item.Get, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			for _, param := range op.Parameters {
				standard(param.Schema)
			}
		}
	}
	text, err := json.MarshalIndent(description, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("admin: the API cannot be described: %v", err)) // a mistake in this package's types
	}
	return text
}

// standard says in the words of JSON Schema what huma says in its own.
func standard(schema *huma.Schema) {
	schema.Description = cmp.Or(schema.Description, schema.PatternDescription)
	schema.PatternDescription = ""
	if schema.Nullable && len(schema.Enum) > 0 {
		schema.Enum = append(schema.Enum, nil)
	}
	for _, property := range schema.Properties {
		standard(property)
	}
	if schema.Items != nil {
		standard(schema.Items)
	}
}

func newAPIConfig(version string) huma.Config {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	describeOptional[bool](schemas)
	describeOptional[string](schemas)
	describeOptional[[]string](schemas)
	describeOptional[map[string]string](schemas)
	schemas.RegisterTypeAlias(reflect.TypeFor[json.RawMessage](), reflect.TypeFor[map[string]any]())
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       api.Name,
				Version:     version,
				Description: apiDescription,
				License:     &huma.License{Name: "MIT", Identifier: "MIT"},
			},
			Servers: []*huma.Server{
				{URL: "/", Description: "Where this description is served."},
				{URL: "http://127.0.0.1:8090", Description: "On the machine of the bridge, as admin.listen is set by default."},
			},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", Description: "One of admin.keys, POLLBRIDGE_ADMIN_KEY, or the key in DATA_DIR/admin.key."},
				},
			},
			Security: []map[string][]string{{"key": {}}},
			Tags: []*huma.Tag{
				{Name: tagSubscriptions, Description: "Where events are sent."},
				{Name: tagDeliveries, Description: "What was sent, what is waiting to be sent, and what was given up."},
				{Name: tagSessions, Description: "Signings that are being watched."},
				{Name: tagEvents, Description: "The same events, for readers that would rather fetch them."},
				{Name: tagWebhooks, Description: "What subscriptions are sent."},
				{Name: tagStats, Description: "What the bridge is doing, in figures."},
			},
		},
		Formats:       map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat: "application/json",
	}
}

const (
	tagSubscriptions = "Subscriptions"
	tagDeliveries    = "Deliveries"
	tagSessions      = "Sessions"
	tagEvents        = "Events"
	tagWebhooks      = "Webhooks"
	tagStats         = "Stats"
)

const apiDescription = `Every call needs Authorization: Bearer KEY. Bodies are JSON of at most 1 MiB; fields that are not listed here are refused. ` +
	`Errors are problem details (RFC 9457) whose errors name every field that is wrong: body.url, query.limit, path.id. ` +
	`Lists are newest first, events oldest first; if there is more, the answer has a next, where the next call goes on. ` +
	`Sessions and deliveries stand where they last changed: what changes while you page goes to the front, and is seen by beginning again. ` +
	`Cursors are opaque and may change their form.`

// operation is what all operations have in common.
func operation(method, path, id, tag, summary, description string, status int, errors ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Description: description,
		DefaultStatus: status,
		MaxBodyBytes:  -1, // wholeBody has refused larger ones
		Errors: append(errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusUnprocessableEntity,
			http.StatusInternalServerError, http.StatusServiceUnavailable),
	}
}
