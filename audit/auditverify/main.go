// Command auditverify checks an audit log offline: the files, the tiles that were
// published, or a dump of the Postgres table. It trusts nothing but the checkpoint and
// the keys that it is given, and reads nothing but bytes.
//
//	auditverify -log audit -checkpoint held -origin audit.example.com/shop -key VKEY
//	auditverify -tiles https://audit.example.com/shop -checkpoint held ...
//	psql -c "\copy (SELECT encode(entry, 'hex') FROM audit.log ORDER BY index) TO STDOUT" |
//		auditverify -dump - -checkpoint held ...
//
// The checkpoint has to come from where the owner of the log cannot write. Without one
// only accidents are found. With -tiles beside -log or -dump it names the record that
// was changed.
//
// The first word of the output is the verdict; exit codes in brackets:
//
//	clean       [0]  every entry up to the checkpoint is what it was
//	tampered    [2]  an entry, or the file around it, is not
//	truncated   [3]  entries that the checkpoint covers are missing at the end
//	forked      [4]  the log has another history than the checkpoint
//	rolled-back [5]  the newest published checkpoint is older than the held one
//
// and 1 if it could not tell. Notes follow: entries after the checkpoint (unsealed), rows
// that have no index yet (unsequenced), recorded erasures (erased), a batch that a crash
// cut short (torn).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport/audit/publish"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// options are what the flags say.
type options struct {
	logs, tiles, dump, pending string
	checkpoint, origin, key    string
	witnesses                  []string
	quorum                     int
	progress, erasures         bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("auditverify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.logs, "log", "", "directories of the files, oldest first, comma-separated")
	flags.StringVar(&o.tiles, "tiles", "", "directory or URL of what was published")
	flags.StringVar(&o.dump, "dump", "", "file with one entry a line in hex; - is standard input")
	flags.StringVar(&o.pending, "pending", "", "the same of audit.pending")
	flags.StringVar(&o.checkpoint, "checkpoint", "", "file with the checkpoint that you kept")
	flags.StringVar(&o.origin, "origin", "", "origin of the log")
	flags.StringVar(&o.key, "key", "", "verifier key of the log")
	flags.Func("witness", "verifier key of a witness; may be repeated", func(key string) error {
		o.witnesses = append(o.witnesses, key)
		return nil
	})
	flags.IntVar(&o.quorum, "quorum", 0, "how many witnesses must have cosigned the checkpoint")
	flags.BoolVar(&o.progress, "progress", false, "show a progress bar on standard error")
	flags.BoolVar(&o.erasures, "erasures", false, "count the erasures that are recorded")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.logs != "" && o.dump != "" || o.logs+o.dump+o.tiles == "":
		return o, errors.New("want one of -log and -dump, or -tiles, or -tiles with one of them")
	case (o.checkpoint != "" || o.tiles != "") && (o.origin == "" || o.key == ""):
		return o, errors.New("a checkpoint needs -origin and -key")
	}
	return o, nil
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "auditverify:", err)
		return 1
	}
	v := verifier{options: o, stdin: stdin, stderr: stderr}
	verdict, err := v.verify()
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "auditverify:", err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "%s: %s\n", verdict.word, verdict.detail)
	for _, note := range v.notes {
		_, _ = fmt.Fprintln(stdout, note)
	}
	return codes[verdict.word]
}

var codes = map[string]int{
	"clean": 0, "tampered": 2, "truncated": 3, "forked": 4, "rolled-back": 5,
}

// verdict is the answer.
type verdict struct{ word, detail string }

func say(word, format string, args ...any) (verdict, error) {
	return verdict{word, fmt.Sprintf(format, args...)}, nil
}

// keys returns the verifiers of the log and of the witnesses.
func (o options) keys() (log note.Verifier, witnesses []note.Verifier, err error) {
	log, err = note.NewVerifier(o.key)
	for _, key := range o.witnesses {
		w, errW := publish.NewCosignatureVerifier(key)
		witnesses, err = append(witnesses, w), errors.Join(err, errW)
	}
	return log, witnesses, err
}

// held reads the checkpoint that the auditor kept; the zero tree if there is none.
func (o options) held() (tlog.Tree, error) {
	if o.checkpoint == "" {
		return tlog.Tree{}, nil
	}
	data, err := os.ReadFile(o.checkpoint)
	if err != nil {
		return tlog.Tree{}, err
	}
	log, witnesses, err := o.keys()
	if err != nil {
		return tlog.Tree{}, err
	}
	return publish.ParseCheckpoint(data, o.origin, log, o.quorum, witnesses...)
}

// dirs splits -log.
func (o options) dirs() []string { return strings.Split(o.logs, ",") }
