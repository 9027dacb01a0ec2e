package proxy

// DropPages forgets what is kept as files, which else lasts as long as the process.
func (s *Server) DropPages() { drop(s.pages) }
