package server

import "github.com/opsmantik/sallyport/hmacsig"

// Keys are what session tokens are signed with.
func (s *Server) Keys() hmacsig.Keyring { return s.keys }
