// Command sitecheck runs the check on its own (sitecheck ./...) or under go vet
// (go vet -vettool=$(which sitecheck) ./...).
package main

import (
	"os"
	"strings"

	"github.com/opsmantik/sallyport/tenancy/sitecheck"
	"golang.org/x/tools/go/analysis/singlechecker"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	// go vet asks with -V=full and -flags, and hands over a configuration file.
	for _, arg := range os.Args[1:] {
		if strings.HasPrefix(arg, "-V=") || arg == "-flags" || strings.HasSuffix(arg, ".cfg") {
			unitchecker.Main(sitecheck.Analyzer)
		}
	}
	singlechecker.Main(sitecheck.Analyzer)
}
