//go:build !linux

package proxy

import (
	"errors"
	"os"
)

func newPaged([]byte) (*os.File, error) { return nil, errors.ErrUnsupported }
