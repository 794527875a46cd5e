// Command rlscheck lints a Postgres schema and proves that it keeps tenants apart.
//
//	rlscheck -role app postgres://postgres@localhost/app
//
// It logs in as a superuser, attacks as the role in one transaction and rolls that back.
// Run it on a fresh database with your migrations, not on the one in use. The key of the
// sealed scope comes from the environment variable RLS_SEAL_KEY, in hexadecimal; -setting
// names a plain setting instead, in which {site} and {user} are filled in:
//
//	rlscheck -role authenticated -setting 'request.jwt.claims={"sub":"{user}"}' $DSN
//
// Exit code: 0 when everything is proved, 1 when something leaks, is unverified or is
// found by the linter, 2 when it could not run.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

// settings collects -setting flags.
type settings []rls.Setting

func (s *settings) String() string { return "" }

func (s *settings) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("want name=value")
	}
	*s = append(*s, rls.Setting{Name: name, Value: value})
	return nil
}

// public collects -public flags: object=reason.
type public map[string]string

func (p public) String() string { return "" }

func (p public) Set(text string) error {
	object, reason, ok := strings.Cut(text, "=")
	if !ok || reason == "" {
		return fmt.Errorf("want object=reason")
	}
	p[object] = reason
	return nil
}

// report is what -json prints.
type report struct {
	Findings []rls.Finding
	Verdicts []rls.Verdict
}

func main() {
	plan := rls.Plan{Public: map[string]string{}}
	var enter settings
	asJSON := flag.Bool("json", false, "print JSON")
	flag.StringVar(&plan.Role, "role", "", "the application's role")
	flag.Var(&enter, "setting", "name=value that tells who asks; may be repeated")
	flag.Var(public(plan.Public), "public", "object=reason that everybody may read it; may be repeated")
	flag.Parse()
	if flag.NArg() != 1 || plan.Role == "" {
		fmt.Fprintln(os.Stderr, "rlscheck: want -role and one connection string")
		os.Exit(2)
	}
	if len(enter) > 0 {
		plan.Enter = func(site, user string) []rls.Setting {
			filled := make([]rls.Setting, len(enter))
			for i, s := range enter {
				filled[i] = rls.Setting{
					Name: s.Name, Value: strings.NewReplacer("{site}", site, "{user}", user).Replace(s.Value),
				}
			}
			return filled
		}
	}
	r, err := check(context.Background(), flag.Arg(0), plan)
	if err != nil {
		fmt.Fprintln(os.Stderr, "rlscheck:", err)
		os.Exit(2)
	}
	if !r.print(os.Stdout, *asJSON) {
		os.Exit(1)
	}
}

func check(ctx context.Context, dsn string, plan rls.Plan) (*report, error) {
	key, err := hex.DecodeString(os.Getenv("RLS_SEAL_KEY"))
	if err != nil || plan.Enter == nil && len(key) == 0 {
		return nil, fmt.Errorf("set RLS_SEAL_KEY to the key in hexadecimal, or give -setting")
	}
	plan.Key = key
	plan.Progress = func(done, all int, object string) {
		const width = 30
		filled := width * done / max(all, 1)
		fmt.Fprintf(os.Stderr, "\r[%s%s] %d/%d %-40.40s", strings.Repeat("#", filled),
			strings.Repeat(".", width-filled), done, all, object)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx) //nolint:errcheck // the answer is there
	r := &report{}
	if r.Findings, err = rls.Lint(ctx, conn, plan.Role); err != nil {
		return nil, err
	}
	r.Verdicts, err = rls.Prove(ctx, conn, plan)
	fmt.Fprintln(os.Stderr)
	return r, err
}

// print reports whether everything is well.
func (r *report) print(w io.Writer, asJSON bool) bool {
	well := len(r.Findings) == 0
	for _, v := range r.Verdicts {
		well = well && v.Outcome != rls.Leak && v.Outcome != rls.Unverified
	}
	if asJSON {
		_ = json.NewEncoder(w).Encode(r)
		return well
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range r.Verdicts {
		fmt.Fprintf(table, "%s\t%s\t%s\n", v.Outcome, v.Object, strings.TrimSpace(v.Reason+" "+v.Attack))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Code, f.Object, f.Reason+" "+f.Fix)
	}
	_ = table.Flush()
	return well
}
