package config

import (
	"encoding"
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"pollbridge/cache"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	networkType  = reflect.TypeFor[netip.Prefix]()
)

// want says what a setting of type t looks like.
func want(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration with units, such as 10s or 1h30m"
	case t == networkType:
		return "a network such as 10.0.0.0/8 or fd00::/8, or a single address"
	case t == reflect.TypeFor[cache.Size]():
		return "a size such as 256MiB or 1GB, at most 1PiB"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number such as 0.5"
	case t.Kind() == reflect.Bool:
		return "true or false"
	default:
		return "a single text"
	}
}

// textError is a text that cannot be read. It says what is wanted; the text,
// which may be a secret, is kept apart.
type textError struct {
	text, problem string
}

func (e *textError) Error() string { return e.problem }

// parse reads text as a value of type t. An error is a [*textError].
func parse(text string, t reflect.Type) (value any, err error) {
	switch {
	case t == durationType:
		value, err = time.ParseDuration(text)
	case t == networkType:
		value, err = parseNetwork(text)
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		target := reflect.New(t)
		err = target.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		value = target.Elem().Interface()
	case t.Kind() == reflect.Int:
		value, err = strconv.Atoi(text)
	case t.Kind() == reflect.Float64:
		value, err = strconv.ParseFloat(text, 64)
	case t.Kind() == reflect.Bool:
		value, err = strconv.ParseBool(text)
	default:
		value = text
	}
	if err != nil {
		return nil, &textError{text: text, problem: "want " + want(t)}
	}
	return value, nil
}

// parseHook makes mapstructure read every text with parse.
func parseHook(from, to reflect.Value) (any, error) {
	if from.Kind() != reflect.String {
		return from.Interface(), nil
	}
	return parse(from.String(), to.Type())
}

// parseNetwork reads a network, or an address as the network of that one. Bits
// behind the prefix are dropped, so that what is printed is what holds.
func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		var address netip.Addr
		if address, err = netip.ParseAddr(text); err != nil {
			return netip.Prefix{}, err
		}
		network = netip.PrefixFrom(address, address.BitLen())
	}
	if network.Addr().Is4In6() || network.Addr().Zone() != "" {
		return netip.Prefix{}, errors.New("would match no address") // see netip.Prefix.Contains
	}
	return network.Masked(), nil
}
