// Package sitecheck is a vet check for what the types of package tenancy cannot
// enforce: that nobody takes a site id around the gate.
//
//	go vet -vettool=$(which sitecheck) ./...
//
// It reports:
//
//	around     a tenant id is read from the request and handed on, past the gate
//	child      a row is loaded by its own id alone, without the scope of a grant
//	literal    a grant or scope is written down, or kept in a global variable
//	forge      reflect.NewAt, unsafe, linkname or cgo beside grants
//	service    code that serves users reaches for a service's grant or database
//	secret     a MAC or secret is compared in a way that tells where it differs
//	sql        SQL for package rls is put together from values
//
// A finding is silenced by a comment on its line or the line before, with a reason:
//
//	//sitecheck:ignore child the id is the tenant's own
//
// The check follows values through variables, struct fields with tags, and helper
// functions in this and other packages. It judges by types and flow, never by the name
// of a variable alone; what counts as a tenant's name in a request is the flag -names
// (-sitecheck.names under go vet). An id is reported once in a function, where it is used
// first.
//
// An id counts as the tenant's own after a row was asked for by it and the tenant
// together, if whoever finds none leaves. A header counts as the server's word, and no
// longer the client's, if the package or one that it imports writes it into the requests
// that it is given; that every request passes there is for the reader to see.
//
// What it finds in other people's services, and how much of that is false, is in
// docs/sitecheck.md.
package sitecheck

import (
	"go/ast"
	"go/types"
	"regexp"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Analyzer is the check.
var Analyzer = &analysis.Analyzer{
	Name:      "sitecheck",
	Doc:       "finds tenant ids taken around the gate of package tenancy",
	URL:       "https://github.com/opsmantik/sallyport/tree/main/tenancy/sitecheck",
	Run:       run,
	Requires:  []*analysis.Analyzer{inspect.Analyzer},
	FactTypes: []analysis.Fact{new(reads), new(sets)},
}

// names are how requests name a tenant.
var names = "site,site_id,siteid,tenant,tenant_id,tenantid,org,org_id,orgid,organization_id," +
	"organisation_id,organizationid,workspace,workspace_id,workspaceid,account_id,accountid," +
	"team_id,teamid,x-site-id,x-tenant-id,x-org-id,x-workspace-id,x-ops-site-id"

func init() {
	Analyzer.Flags.StringVar(&names, "names", names, "comma-separated names of tenants in requests")
}

const (
	tenancyPath = "github.com/opsmantik/sallyport/tenancy"
	rlsPath     = "github.com/opsmantik/sallyport/tenancy/rls"
	hmacsigPath = "github.com/opsmantik/sallyport/hmacsig"
)

// reads is the fact that a function returns a part of its request: the one named Name,
// or the one that its parameter NameParam names.
type reads struct {
	Name      string
	NameParam int // -1 for none
}

func (*reads) AFact() {}

func (r *reads) String() string { return "reads " + r.Name }

// sets is the fact that a package writes headers into the requests that it is given.
type sets struct {
	Headers []string
}

func (*sets) AFact() {}

func (f *sets) String() string { return "sets " + strings.Join(f.Headers, ", ") }

// check is one run over a package.
type check struct {
	*analysis.Pass
	tenants map[string]bool
	ignored map[string]map[int]string // file, line to the kinds silenced
	tests   map[string]bool           // files of tests, and of suites that tests import
	set     map[string]bool           // headers that the server itself writes into requests
	decoded map[*types.TypeName]bool  // structs that requests may be read into
	lookups map[*types.Func]bool      // functions that the gate's own configuration calls
}

func run(pass *analysis.Pass) (any, error) {
	c := &check{
		Pass: pass, tenants: map[string]bool{}, ignored: map[string]map[int]string{},
		tests: map[string]bool{}, set: map[string]bool{}, lookups: map[*types.Func]bool{},
		decoded: map[*types.TypeName]bool{},
	}
	for name := range strings.SplitSeq(names, ",") {
		c.tenants[strings.ToLower(strings.TrimSpace(name))] = true
	}
	own := pass.Pkg.Path() == tenancyPath || strings.HasPrefix(pass.Pkg.Path(), tenancyPath+"/") ||
		strings.HasPrefix(pass.Pkg.Path(), tenancyPath+"_test")
	if own {
		return nil, nil // the gate itself reads requests and makes grants
	}
	for _, file := range pass.Files {
		c.readIgnores(file)
	}
	c.learnHeaders()
	c.learnDecoded()
	c.learn()
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	c.findLookups(in)
	in.Preorder([]ast.Node{(*ast.FuncDecl)(nil)}, func(n ast.Node) {
		fn := n.(*ast.FuncDecl)
		obj, _ := c.TypesInfo.Defs[fn.Name].(*types.Func)
		if fn.Body != nil && !c.lookups[obj] {
			c.flow(fn.Type, fn.Body)
		}
	})
	c.literals(in)
	c.forgery(in)
	c.services(in)
	c.statements(in)
	return nil, nil
}

var ignoreComment = regexp.MustCompile(`^//sitecheck:ignore (\w+) \S`)

// findLookups notes the functions that are called where the gate is configured: they find
// out whose a row is, which is what the gate asks.
func (c *check) findLookups(in *inspector.Inspector) {
	note := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if fn := c.callee(call); fn != nil && fn.Pkg() == c.Pkg {
					c.lookups[fn] = true
				}
			}
			if id, ok := n.(*ast.Ident); ok {
				if fn, ok := c.TypesInfo.Uses[id].(*types.Func); ok && fn.Pkg() == c.Pkg {
					c.lookups[fn] = true
				}
			}
			return true
		})
	}
	in.Preorder([]ast.Node{(*ast.CompositeLit)(nil), (*ast.CallExpr)(nil)}, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if named(c.TypesInfo.TypeOf(n), tenancyPath, "Config") {
				note(n)
			}
		case *ast.CallExpr:
			if fn := c.callee(n); path(fn) == tenancyPath && strings.HasPrefix(fn.Name(), "From") {
				note(n)
			}
		}
	})
}

func (c *check) readIgnores(file *ast.File) {
	name := c.Fset.Position(file.Pos()).Filename
	c.tests[name] = strings.HasSuffix(name, "_test.go")
	for _, spec := range file.Imports {
		if spec.Path.Value == `"testing"` {
			c.tests[name] = true
		}
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			m := ignoreComment.FindStringSubmatch(comment.Text)
			if m == nil {
				continue
			}
			at := c.Fset.Position(comment.Pos())
			if c.ignored[at.Filename] == nil {
				c.ignored[at.Filename] = map[int]string{}
			}
			c.ignored[at.Filename][at.Line] = m[1]
			c.ignored[at.Filename][at.Line+1] = m[1]
		}
	}
}

// report says what is wrong, unless it is a test's doing or has been silenced. It returns
// whether it did.
func (c *check) report(n ast.Node, kind, text string) bool {
	at := c.Fset.Position(n.Pos())
	if c.tests[at.Filename] || c.ignored[at.Filename][at.Line] == kind {
		return false
	}
	c.Reportf(n.Pos(), "%s: %s", kind, text)
	return true
}

// named reports whether a type is, or points to, one of those of a package.
func named(t types.Type, path string, list ...string) bool {
	if t == nil {
		return false
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		if _, isNamed := types.Unalias(t).(*types.Named); !isNamed {
			t = p.Elem()
		}
	}
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || n.Obj().Pkg().Path() != path {
		return false
	}
	for _, name := range list {
		if n.Obj().Name() == name {
			return true
		}
	}
	return false
}

// callee returns the function that a call runs, where it can be told.
func (c *check) callee(call *ast.CallExpr) *types.Func {
	fun := ast.Unparen(call.Fun)
	switch f := fun.(type) {
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return nil
	}
	fn, _ := c.TypesInfo.Uses[id].(*types.Func)
	return fn
}

// path returns the package of a function, "" for a builtin or an unknown one.
func path(fn *types.Func) string {
	if fn == nil || fn.Pkg() == nil {
		return ""
	}
	return fn.Pkg().Path()
}

// standard reports whether a package is of the standard library: its first element has
// no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path == "" || !strings.Contains(first, ".")
}
