package publish_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/opsmantik/sallyport/audit/publish"
)

// exampleKey makes a signer and its verifier.
func exampleKey() (note.Signer, note.Verifier) {
	private, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		panic(err)
	}
	signer, errSigner := note.NewSigner(private)
	verifier, errVerifier := note.NewVerifier(public)
	if err := errors.Join(errSigner, errVerifier); err != nil {
		panic(err)
	}
	return signer, verifier
}

// Sign the head of the log, and prove one entry to somebody who has the public key.
func Example() {
	dir, err := os.MkdirTemp("", "publish")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store := &memory{} // an *audit.Log, a *pgaudit.Log
	store.grow(1000)
	signer, verifier := exampleKey()
	publisher, err := publish.New(publish.Config{
		Origin: origin, Store: store, Dir: filepath.Join(dir, "public"),
		Signer: signer, Verifier: verifier,
	})
	if err != nil {
		panic(err)
	}
	if _, err = publisher.Publish(context.Background()); err != nil {
		panic(err)
	}
	proof, err := publisher.Proof(context.Background(), 7)
	if err != nil {
		panic(err)
	}
	// Anywhere else, without a network:
	index, err := publish.VerifyProof(proof, []byte("entry 7"), origin, verifier, 0)
	fmt.Println(index, err)
	// Output: 7 <nil>
}

// A checkpoint that stays beside the log, in the reach of its owner, proves nothing: both
// are replaced together, and the new ones are as good.
func ExamplePublisher_Publish_incorrect() {
	signer, verifier := exampleKey()
	checkpoint := func(entries ...string) []byte {
		dir, err := os.MkdirTemp("", "publish")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		store := &memory{}
		for _, entry := range entries {
			store.entries = append(store.entries, []byte(entry))
		}
		publisher, err := publish.New(publish.Config{
			Origin: origin, Store: store, Dir: dir, Signer: signer, Verifier: verifier,
		})
		if err != nil {
			panic(err)
		}
		signed, err := publisher.Publish(context.Background())
		if err != nil {
			panic(err)
		}
		return signed
	}
	_ = checkpoint("ada did it")
	forged := checkpoint("eve did it") // in an empty directory, so nothing binds the signer
	tree, err := publish.ParseCheckpoint(forged, origin, verifier, 0)
	fmt.Println(tree.N, err)
	// Output: 1 <nil>
}
