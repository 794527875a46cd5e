package privacy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/privacy"
)

// exampleRegister is a register over a log in a directory.
func exampleRegister(dir string) (*privacy.Register, *audit.Log) {
	log, errLog := audit.New(audit.Config{Dir: dir})
	register, err := privacy.New(privacy.Config{
		Store: log, Sealer: &keys{all: map[string]*key{}}, // tenancy/envelope in earnest
		Actions: []privacy.Action{{
			Name: "calls.junk", Fields: map[string]sallyport.Class{"phone": sallyport.Confidential},
		}},
	})
	if err := errors.Join(errLog, err); err != nil {
		panic(err)
	}
	return register, log
}

// Seal what is a person's, and forget the person later.
func Example() {
	dir, err := os.MkdirTemp("", "privacy")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	register, log := exampleRegister(dir)
	record := junk("7")
	record.Reason, record.Fields = "", []audit.Field{{Name: "phone", Value: phone}}
	record, err = register.Prepare(ctx, record, "p_4711") // whose phone it is
	if err != nil {
		panic(err)
	}
	if _, err = log.Append(ctx, record); err != nil {
		panic(err)
	}
	known := func() bool {
		var out bytes.Buffer
		err := register.Export(ctx, &out, privacy.JSON, "s1", "p_4711", by(), "her request")
		return err == nil && strings.Contains(out.String(), phone)
	}
	fmt.Println(known())
	_, err = register.Erase(ctx, "s1", "p_4711", by(), "her request")
	fmt.Println(known(), err)
	// Output:
	// true
	// false <nil>
}

// An id that is itself a name or an address stays in the log for ever.
func ExampleRegister_Prepare_incorrect() {
	dir, err := os.MkdirTemp("", "privacy")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	register, _ := exampleRegister(dir)
	record := junk("7")
	record.Reason, record.Fields = "", nil
	record.Target = audit.Ref{Kind: "person", ID: "ada@example.org"} // use an opaque id
	record, err = register.Prepare(context.Background(), record, "ada@example.org")
	if err != nil {
		panic(err)
	}
	entry, err := record.Encode()
	fmt.Println(bytes.Contains(entry, []byte("ada@example.org")), err)
	// Output: true <nil>
}
