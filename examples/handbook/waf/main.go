// Command waf has a web application firewall, Coraza, between the signature and the
// handler: its rules parse what a known sender sent, and nothing else.
package main

import (
	"io"
	"log"
	"net/http"
	"time"

	"github.com/corazawaf/coraza/v3"
	txhttp "github.com/corazawaf/coraza/v3/http"

	"github.com/opsmantik/sallyport/hmacsig"
)

// Two rules of your own; the OWASP Core Rule Set is a file to include.
const rules = `
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 1048576
SecRule REQUEST_HEADERS:Content-Type "@beginsWith application/json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule ARGS "@detectSQLi" "id:2,phase:2,deny,status:403"
`

func newHandler(secret hmacsig.Secret) (http.Handler, error) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(rules))
	if err != nil {
		return nil, err
	}
	ring, err := hmacsig.NewRotation(secret, hmacsig.Secret{})
	if err != nil {
		return nil, err
	}
	signed, err := hmacsig.New(hmacsig.Config{Scheme: hmacsig.GitHub(), Keys: hmacsig.StaticKeys{"": ring}})
	if err != nil {
		return nil, err
	}
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	// On routes without a signature the firewall parses what anybody sends: there, a rate
	// limit by address belongs in front of it.
	return signed.Wrap(txhttp.WrapHandler(waf, orders)), nil
}

func main() {
	handler, err := newHandler(hmacsig.Generate())
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
