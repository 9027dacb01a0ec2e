package settings

import (
	"encoding"
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"time"
)

// parse reads text into a scalar.
func parse(text string, into reflect.Value) (err error) {
	var value any
	switch target := into.Addr().Interface().(type) {
	case *time.Duration:
		value, err = time.ParseDuration(text)
	case *netip.Prefix:
		value, err = parseNetwork(text)
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text))
	case *int:
		value, err = strconv.Atoi(text)
	case *float64:
		value, err = strconv.ParseFloat(text, 64)
	case *bool:
		value, err = strconv.ParseBool(text)
	default:
		value = text
	}
	if err == nil {
		into.Set(reflect.ValueOf(value))
	}
	return err
}

// want says what a scalar of type t looks like. A type that reads itself says so in
// its error for a text that is none.
func want(t reflect.Type) string {
	target := reflect.New(t).Interface()
	switch target.(type) {
	case *time.Duration:
		return "want a duration with units, such as 10s or 1h30m"
	case *netip.Prefix:
		return "want a network such as 10.0.0.0/8 or fd00::/8, or a single address"
	case *int:
		return "want a whole number"
	case *float64:
		return "want a number such as 0.5"
	case *bool:
		return "want true or false"
	}
	if own, ok := target.(encoding.TextUnmarshaler); ok {
		if err := own.UnmarshalText(nil); err != nil {
			return err.Error()
		}
	}
	return "want a single text"
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
