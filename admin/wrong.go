package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pollbridge/session"
	"pollbridge/webhook"
)

// Whoever sent several wrong fields is told of all at once. Huma finds what the
// description rules out, and no service is asked then; so what the services would refuse
// is looked for besides.

// checkFunc returns what is wrong with a request besides what its description says, as
// services do. Of a body it reads what can be read.
type checkFunc func(request) error

// request is what a checkFunc may look at.
type request struct {
	body   []byte
	query  url.Values
	header func(name string) string
}

const checkMetadata = "check"

// checked adds a check to an operation.
func checked(op huma.Operation, check checkFunc) huma.Operation {
	op.Metadata = map[string]any{checkMetadata: check}
	return op
}

// besides is what is wrong with a request besides what huma finds.
type besides struct {
	parameters []error      // that are not known, or given twice
	services   func() error // see checkFunc
}

type besidesKey struct{}

// lookBesides is huma's middleware.
func lookBesides(ctx huma.Context, next func(huma.Context)) {
	op, address := ctx.Operation(), ctx.URL()
	b := &besides{parameters: wrongParameters(op, address.Query()), services: func() error { return nil }}
	if check, ok := op.Metadata[checkMetadata].(checkFunc); ok {
		body, _ := humafiber.Unwrap(ctx).Locals(bodyKey{}).([]byte)
		b.services = func() error { return check(request{body, address.Query(), ctx.Header}) }
	}
	next(huma.WithValue(ctx, besidesKey{}, b))
}

// all are all of it.
func (b *besides) all() []error {
	return append(slices.Clone(b.parameters), details("body", b.services())...)
}

// refused returns the problem with parameters that huma let pass.
func refused(ctx context.Context) error {
	b, ok := ctx.Value(besidesKey{}).(*besides)
	if !ok || len(b.parameters) == 0 {
		return nil
	}
	return newProblem(http.StatusUnprocessableEntity, "", b.all()...)
}

func wrongParameters(op *huma.Operation, query url.Values) (all []error) {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		message := ""
		switch {
		case !slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name }):
			message = "unknown parameter"
		case len(query[name]) > 1:
			message = "is given more than once"
		}
		if message != "" {
			all = append(all, &huma.ErrorDetail{Location: "query." + shorten(name), Message: message})
		}
	}
	return all
}

// cursorOf checks the cursor of a list.
func cursorOf(kind byte) checkFunc {
	return func(r request) error {
		_, err := PageParams{Cursor: r.query.Get("cursor")}.after(kind)
		return err
	}
}

// wrongFields are what an error of a service says of fields, or none if it says nothing of
// any.
func wrongFields(err error) (all []webhook.FieldError) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			all = append(all, wrongFields(err)...)
		}
		return all
	}
	if field, ok := errors.AsType[*webhook.FieldError](err); ok {
		return append(all, *field)
	}
	if part, ok := errors.AsType[*session.VariantError](err); ok {
		field := part.Field
		if field == "credential" {
			field = "access_token" // as the body has it
		}
		return append(all, webhook.FieldError{Field: field, Problem: part.Problem})
	}
	return nil
}

// below names the fields that an error complains about as those of another one.
func below(field string, err error) error {
	wrong := wrongFields(err)
	if wrong == nil {
		return err
	}
	var all []error
	for _, w := range wrong {
		all = append(all, &webhook.FieldError{Field: field + "." + w.Field, Problem: w.Problem})
	}
	return errors.Join(all...)
}

// details are the fields that an error complains about, as huma has them; in is where
// they are.
func details(in string, err error) (all []error) {
	if p, ok := errors.AsType[*problem](err); ok {
		for _, field := range p.Errors {
			all = append(all, &huma.ErrorDetail{Location: field.Location, Message: field.Message})
		}
	}
	for _, w := range wrongFields(err) {
		all = append(all, &huma.ErrorDetail{Location: location(in, w.Field), Message: w.Problem})
	}
	return all
}

// readable reads what can be read of an object: members that are no values of their
// fields are left out.
func readable[T any](object []byte) (value T) {
	var members map[string]jsontext.Value
	if jsonv2.Unmarshal(object, &members) != nil {
		return value
	}
	for name, member := range members {
		alone, err := jsonv2.Marshal(map[string]jsontext.Value{name: member})
		with := value
		if err == nil && jsonv2.Unmarshal(alone, &with) == nil {
			value = with
		}
	}
	return value
}

// readableHeaders reads the headers of an object.
func readableHeaders(object []byte) map[string]string {
	return readable[map[string]string](readable[struct {
		Headers jsontext.Value `json:"headers"`
	}](object).Headers)
}
