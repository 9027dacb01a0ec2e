package socket

import "net"

// Listen listens at a TCP address, as net.Listen does.
//
// What only this machine can reach is sent as fast as it is taken. Where a congestion
// control is set that paces, such as BBR, a large answer otherwise costs twice as much:
// it goes out in small pieces with a timer for each, though there is no line that could
// be congested. That is no error if it cannot be had.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if plain, ok := listener.(*net.TCPListener); ok && plain.Addr().(*net.TCPAddr).IP.IsLoopback() {
		_ = unpace(plain) // before anybody is let in: connections that were paced stay so
	}
	return listener, nil
}
