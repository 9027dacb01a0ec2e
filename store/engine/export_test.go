package engine

import "os"

// Lock is the file that is locked while the engine is open.
func (e *Engine) Lock() *os.File { return e.lock }

// IndexName is what the server calls its index of a stream.
const IndexName = indexName
