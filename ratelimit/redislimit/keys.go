package redislimit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"

	"github.com/opsmantik/sallyport/ratelimit"
)

// A key in Redis is
//
//	prefix {tttt} hhhhhhhhhhhhhhhhhh
//
// with t the hash tag (24 bits of HMAC-SHA256 of the tenant or, without one,
// of the key) and h 108 bits of HMAC-SHA256 of policy name and key. Addresses
// and credentials cannot be read back from it, not even by trying them all.
const (
	tagLen  = 4
	hashLen = 18
)

// Domains keep hashes for different uses apart.
const (
	domainTag    = 't'
	domainBucket = 'b'
	domainFlight = 'f'
)

type namer struct {
	prefix string
	macs   sync.Pool // *mac
}

type mac struct {
	hash.Hash
	in  []byte
	sum []byte
	out []byte
}

func newNamer(prefix string, secret []byte) *namer {
	n := &namer{prefix: prefix}
	n.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }
	return n
}

// name returns the key in Redis of a policy's key, with its tag inside.
func (n *namer) name(domain byte, p *ratelimit.Policy) string {
	m := n.macs.Get().(*mac)
	defer n.macs.Put(m)
	m.out = append(append(m.out[:0], n.prefix...), '{')

	m.in = append(m.in[:0], domainTag)
	if tenant := p.Key.Tenant(); tenant != "" {
		m.in = append(append(m.in, 't'), tenant...)
	} else {
		m.in, _ = p.Key.AppendBinary(append(m.in, 'k'))
	}
	m.digest(tagLen)
	m.out = append(m.out, '}')

	// The name holds no NUL, so that nothing merges.
	m.in = append(append(append(m.in[:0], domain), p.Name...), 0)
	m.in, _ = p.Key.AppendBinary(m.in)
	m.digest(hashLen)
	return string(m.out)
}

// digest appends the first chars of the hash of m.in to m.out.
func (m *mac) digest(chars int) {
	m.Reset()
	_, _ = m.Write(m.in) // never fails (hash.Hash)
	m.sum = m.Sum(m.sum[:0])
	n := len(m.out)
	m.out = base64.RawURLEncoding.AppendEncode(m.out, m.sum[:24])[:n+chars]
}

// tag returns the hash tag inside a key.
func (n *namer) tag(key string) string {
	start := len(n.prefix) + 1
	return key[start : start+tagLen]
}

// slot is the Redis Cluster slot of a hash tag: CRC16-XMODEM modulo 16384
// (Redis Cluster specification, "Key distribution model").
func slot(tag string) int {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % slots)
}

const slots = 16384
