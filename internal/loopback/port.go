//go:build unix

package loopback

import (
	"crypto/rand"
	"errors"
	"math/big"
)

// Ports are drawn from below Linux's ephemeral range (32768 up), so that no
// outgoing connection can sit on a server's port while it restarts.
const (
	firstPort = 20000
	portCount = 12000
)

// freePort returns a port that was free a moment ago, together with the ports
// at the given distances from it.
func freePort(distances ...int) (int, error) {
	for range 1000 {
		n, err := rand.Int(rand.Reader, big.NewInt(portCount))
		if err != nil {
			return 0, err
		}
		port := firstPort + int(n.Int64())
		free := listenable(port)
		for _, d := range distances {
			free = free && listenable(port+d)
		}
		if free {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
