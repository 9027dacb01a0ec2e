package proxy

// DropPages forgets what is kept as files, which else lasts as long as the process.
func (s *Server) DropPages() { drop(s.pages) }

// KeepPages bounds what is kept as files, before the server serves.
func (s *Server) KeepPages(bytes int) { s.pages.most = bytes }
