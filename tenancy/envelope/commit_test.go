package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// element is one of GCM's field: bit 0 is the coefficient of x^127 of a big.Int.
func element(block []byte) *big.Int { return new(big.Int).SetBytes(block) }

// multiply is NIST SP 800-38D section 6.3, algorithm 1.
func multiply(x, y *big.Int) *big.Int {
	r := new(big.Int).Lsh(big.NewInt(0xe1), 120)
	z, v := new(big.Int), new(big.Int).Set(y)
	for i := 127; i >= 0; i-- {
		if x.Bit(i) == 1 {
			z.Xor(z, v)
		}
		low := v.Bit(0)
		v.Rsh(v, 1)
		if low == 1 {
			v.Xor(v, r)
		}
	}
	return z
}

// inverse is x^(2^128-2).
func inverse(x *big.Int) *big.Int {
	one := new(big.Int).Lsh(big.NewInt(1), 127)
	result, power := one, x
	for range 127 {
		power = multiply(power, power)
		result = multiply(result, power)
	}
	return result
}

// parts of a GCM tag over additional data and one block of ciphertext c:
// known + c*h^2, with h = E(0).
func parts(block cipher.Block, nonce, aad []byte) (known, square *big.Int) {
	var zero, hash, mask [16]byte
	block.Encrypt(hash[:], zero[:])
	h := element(hash[:])
	y := new(big.Int)
	for a := aad; len(a) > 0; {
		var padded [16]byte
		a = a[copy(padded[:], a):]
		y = multiply(y.Xor(y, element(padded[:])), h)
	}
	square = multiply(h, h)
	var lengths [16]byte
	binary.BigEndian.PutUint64(lengths[:], uint64(len(aad))*8)
	binary.BigEndian.PutUint64(lengths[8:], 128)
	block.Encrypt(mask[:], append(bytes.Clone(nonce), 0, 0, 0, 1))
	known = multiply(y, square)
	known.Xor(known, multiply(element(lengths[:]), h))
	return known.Xor(known, element(mask[:])), square
}

// TestTwoKeysCiphertext builds a ciphertext that GCM opens under two keys
// (https://eprint.iacr.org/2020/1456), the secrets of which the attacker knows, and puts
// it into our format. Who is shown one sealed value must see one plaintext.
func TestTwoKeysCiphertext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_ = w.seal(t, place, nil)
	secrets := [2][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}
	derive := func(secret []byte, purpose string) []byte {
		out, err := hkdf.Expand(sha256.New, secret, "sallyport envelope v1 "+purpose, 32)
		require.NoError(t, err)
		return out
	}
	var aad []byte
	for _, part := range []string{
		"c", place.Site, place.Subject, place.Table, place.Column, place.Row,
	} {
		aad = binary.AppendUvarint(aad, uint64(len(part)))
		aad = append(aad, part...)
	}
	nonce := make([]byte, 12)
	var known, square [2]*big.Int
	var aeads [2]cipher.AEAD
	for i, secret := range secrets {
		block, err := aes.NewCipher(derive(secret, "encrypt"))
		require.NoError(t, err)
		aeads[i], err = cipher.NewGCM(block)
		require.NoError(t, err)
		known[i], square[i] = parts(block, nonce, aad)
	}
	// known0 + c*square0 = known1 + c*square1
	c := multiply(new(big.Int).Xor(known[0], known[1]),
		inverse(new(big.Int).Xor(square[0], square[1])))
	tag := new(big.Int).Xor(known[0], multiply(c, square[0]))
	body := append(c.FillBytes(make([]byte, 16)), tag.FillBytes(make([]byte, 16))...)
	var plaintexts [2][]byte
	for i := range aeads {
		var err error
		plaintexts[i], err = aeads[i].Open(nil, nonce, body, aad)
		require.NoError(t, err, "GCM alone opens it under key %d", i)
	}
	require.NotEqual(t, plaintexts[0], plaintexts[1])

	for version, secret := range secrets {
		aadOfKey := []byte{}
		for _, part := range []string{"sallyport envelope v1 key", place.Site, place.Subject} {
			aadOfKey = binary.AppendUvarint(aadOfKey, uint64(len(part)))
			aadOfKey = append(aadOfKey, part...)
		}
		wrapped, err := w.kek.Wrap(t.Context(), secret, aadOfKey)
		require.NoError(t, err)
		require.NoError(t, w.store.Add(t.Context(), envelope.Key{
			Owner: owner, Version: version + 2, KEK: w.kek.ID(), Wrapped: wrapped,
			Commit: [32]byte(derive(secret, "commit")),
		}))
	}
	for i, secret := range secrets {
		sealed := append([]byte{1}, derive(secret, "commit")...)
		sealed = append(append(sealed, nonce...), body...)
		opened, err := w.Open(t.Context(), nil, place, sealed)
		require.NoError(t, err)
		require.Equal(t, plaintexts[i], opened, "the key that it names, and no other")
	}
}
