package media

import "github.com/pion/webrtc/v4"

// Loosen changes what hardened does, to see what a test would see without it.
func Loosen(s *Server, f func(*webrtc.SettingEngine)) { s.loosen = f }
