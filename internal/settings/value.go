package settings

import (
	"cmp"
	"encoding"
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"time"
)

// parse reads text into a scalar. If that does not work, it says what is wanted.
func parse(text string, into reflect.Value) (problem string) {
	var value any
	var err error
	switch target := into.Addr().Interface().(type) {
	case *time.Duration:
		value, err = time.ParseDuration(text)
		problem = "want a duration with units, such as 10s or 1h30m"
	case *netip.Prefix:
		value, err = parseNetwork(text)
		problem = "want a network such as 10.0.0.0/8 or fd00::/8, or a single address"
	case encoding.TextUnmarshaler:
		if err := target.UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
		return ""
	case *int:
		value, err = strconv.Atoi(text)
		problem = "want a whole number"
	case *float64:
		value, err = strconv.ParseFloat(text, 64)
		problem = "want a number such as 0.5"
	case *bool:
		value, err = strconv.ParseBool(text)
		problem = "want true or false"
	default:
		value = text
	}
	if err != nil {
		return problem
	}
	into.Set(reflect.ValueOf(value))
	return ""
}

// want says what a scalar of type t looks like.
func want(t reflect.Type) string {
	const unreadable = "\x00"
	return cmp.Or(parse(unreadable, reflect.New(t).Elem()), "want a single text")
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
