//go:build !(linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x))

package socket

import (
	"errors"
	"os"
)

// WriteMore writes p.
func (c *Conn) WriteMore(p []byte) (int, error) { return c.Write(p) }

// WriteFile does nothing here: the error is errors.ErrUnsupported.
func (c *Conn) WriteFile(*os.File, int64, int) (int, error) { return 0, errors.ErrUnsupported }
