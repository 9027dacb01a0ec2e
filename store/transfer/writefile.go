package transfer

import (
	"errors"
	"io"
	"os"

	"pollbridge/internal/durable"
)

// WriteFile writes a file that is there as a whole, and replaces one that was there, or not at
// all. What is no regular file, such as a named pipe, is written to.
func WriteFile(path string, write func(io.Writer) error) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return durable.Write(path, write)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
