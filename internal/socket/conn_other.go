//go:build !(linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x)) || race

package socket

import "net"

// direct is nothing where package net does it. The race detector understands only
// that, too: for it, what is read from a connection comes after what was written.
type direct struct{ socket *Socket }

func (d *direct) prepare(conn *net.TCPConn) { d.socket = Of(conn) }

// Ask looks at the connection, and if it is quiet, writes question and reads the first
// of what comes back into answer. The error is ErrNotQuiet if nothing was written.
func (c *Conn) Ask(question, answer []byte) (int, error) {
	if state := c.socket.Look(); state == Closed || state == Data {
		return 0, ErrNotQuiet
	}
	if _, err := c.TCPConn.Write(question); err != nil {
		return 0, err
	}
	return c.TCPConn.Read(answer)
}
