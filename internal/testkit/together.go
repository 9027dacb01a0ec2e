package testkit

import (
	"flag"
	"strconv"
)

// Together lets n of the tests that call t.Parallel run at once, for a package whose tests wait more
// than they calculate. TestMain calls it first; -parallel on the command line goes before it.
func Together(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(n))
	}
}
