package relay

import "net"

// Listen replaces how sockets of relays are opened.
func Listen(s *Server, f func(network, address string) (net.PacketConn, error)) { s.listen = f }
