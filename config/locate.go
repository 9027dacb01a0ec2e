package config

import "pollbridge/internal/check"

// Locate reads all sources and checks what leads to a bridge that runs with them: where its
// management API is, and the key to it. What else it needs may be missing here, such as the
// URL of its upstream.
func Locate(from Sources) (*Config, error) {
	c := read(from)
	var m check.Mistakes
	m.Within("admin", c.Admin.Validate())
	if err := c.read.Err(m.Err()); err != nil {
		return nil, err
	}
	return c, nil
}
