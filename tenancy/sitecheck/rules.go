package sitecheck

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ast/inspector"
)

// call judges what a request's ids are handed to.
func (s *state) call(call *ast.CallExpr) {
	fn := s.callee(call)
	if p := path(fn); p == "bytes" || p == "strings" || p == "reflect" || p == "slices" {
		s.equality(call, fn)
	}
	if !s.sink(call, fn) {
		return
	}
	worst, scoped := s.handed(call)
	switch {
	case !s.handler || s.told[worst]:
	case worst.taint == tenant:
		s.told[worst] = s.report(call, "around", "a tenant's id, "+worst.name+" of the request, is used "+
			"without the gate: take it from the grant (tenancy.Route), or hand on its Scope")
	case worst.taint == child && !scoped && !s.proven(worst, call):
		s.told[worst] = s.report(call, "child", "a row is named by "+worst.name+" of the request alone: "+
			"hand on the grant's scope as well, so that another tenant's id finds nothing")
	}
}

// handed is the worst of a call's arguments, and whether one of them proves a tenant.
func (s *state) handed(call *ast.CallExpr) (origin, bool) {
	var worst origin
	scoped := false
	for _, a := range call.Args {
		if o := s.id(a); o.taint != mac {
			worst = worse(worst, o)
		}
		scoped = scoped || s.proves(a)
	}
	return worst, scoped
}

// sink reports whether a call hands ids to where rows are: a function with a context or a
// database behind it.
func (s *state) sink(call *ast.CallExpr, fn *types.Func) bool {
	if fn == nil {
		return s.callsValue(call)
	}
	p := path(fn)
	if p == "database/sql" || strings.HasPrefix(p, "github.com/jackc/pgx") {
		return s.takesContext(fn) || strings.HasPrefix(fn.Name(), "Query") || strings.HasPrefix(fn.Name(), "Exec")
	}
	if standard(p) || p == tenancyPath || isLogger(p) {
		return false
	}
	if _, ok := s.readsRequest(call); ok {
		return false
	}
	for _, a := range call.Args {
		if t := s.TypesInfo.TypeOf(a); named(t, "net/http", "ResponseWriter", "Request") {
			return false // it is a handler's own business
		}
	}
	return s.takesContext(fn) || storeLike(fn)
}

// callsValue is for a function kept in a variable or field, which cannot be looked up.
func (s *state) callsValue(call *ast.CallExpr) bool {
	sig, ok := s.TypesInfo.TypeOf(call.Fun).(*types.Signature)
	return ok && sig.Params().Len() > 1 && isContext(sig.Params().At(0).Type())
}

func isLogger(p string) bool {
	return strings.Contains(p, "zap") || strings.Contains(p, "zerolog") || strings.Contains(p, "logr") ||
		strings.Contains(p, "sentry") || strings.HasSuffix(p, "/log") || strings.HasSuffix(p, "/logger")
}

func isContext(t types.Type) bool { return named(t, "context", "Context") }

func (s *state) takesContext(fn *types.Func) bool {
	params := fn.Signature().Params()
	return params.Len() > 0 && isContext(params.At(0).Type())
}

// storeLike is for methods of something that holds rows without taking a context: an
// interface or struct of a package that is named after storage.
func storeLike(fn *types.Func) bool {
	if fn.Signature().Recv() == nil {
		return false
	}
	p := path(fn)
	base := p[strings.LastIndex(p, "/")+1:]
	switch base {
	case "store", "storage", "db", "database", "repo", "repository", "repositories", "queries", "dao", "models":
		return true
	}
	return false
}

// proves reports whether an argument carries a proof, or at least the tenant of one: a
// grant or scope, a call on one, or a value that does not come from the request and whose
// type or field says tenant.
func (s *state) proves(e ast.Expr) bool {
	if isProof(s.TypesInfo.TypeOf(e)) {
		return true
	}
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			found = found || s.scoped[s.object(n)] || s.values[s.object(n)].taint == clean && s.tenantish(n.Name) &&
				!isContext(s.TypesInfo.TypeOf(n))
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && s.tenantish(id.Name) {
				found = true
			}
		case ast.Expr:
			found = found || isProof(s.TypesInfo.TypeOf(n))
		}
		return !found
	})
	return found
}

// tenantish is for the names of variables and fields that hold the tenant beside the id:
// workspaceID, OrgID. It only ever silences.
func (s *state) tenantish(name string) bool {
	if s.isTenant(name) {
		return true
	}
	lower := strings.ToLower(strings.ReplaceAll(name, "_", ""))
	for _, who := range []string{"user", "owner", "principal"} { // the caller's own rows
		if strings.HasPrefix(lower, who) {
			return true
		}
	}
	return false
}

// isTenant is for names that hold a tenant's id itself.
func (c *check) isTenant(name string) bool {
	lower := strings.ToLower(strings.ReplaceAll(name, "_", ""))
	for known := range c.tenants {
		k := strings.ReplaceAll(strings.ReplaceAll(known, "_", ""), "-", "")
		if len(k) > 3 && strings.Contains(lower, k) {
			return true
		}
	}
	return false
}

// isTenantID is for the names of parameters and fields that take a tenant's id: org,
// orgID, currentWorkspaceId.
func (c *check) isTenantID(name string) bool {
	lower := strings.ToLower(strings.ReplaceAll(name, "_", ""))
	for known := range c.tenants {
		k := strings.ReplaceAll(strings.ReplaceAll(known, "_", ""), "-", "")
		if k = strings.TrimSuffix(k, "id"); lower == k || len(k) > 2 && strings.HasSuffix(lower, k+"id") {
			return true
		}
	}
	return false
}

// makesMAC is for hmac's Sum, and for the encodings of one.
func (s *state) makesMAC(call *ast.CallExpr) bool {
	fn := s.callee(call)
	if fn == nil || fn.Name() != "Sum" {
		return false
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := ast.Unparen(sel.X).(*ast.Ident)
	return ok && s.values[s.object(id)].taint == mac || s.isNewMAC(sel.X)
}

func (s *state) isNewMAC(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	fn := s.callee(call)
	return path(fn) == "crypto/hmac" && fn.Name() == "New"
}

// secretType is for types that hold a secret.
func secretType(t types.Type) bool { return named(t, hmacsigPath, "Secret") }

// comparison reports == and != on secrets. Comparing with a constant, such as "", tells
// nothing about the rest.
func (s *state) comparison(n *ast.BinaryExpr) {
	if n.Op != token.EQL && n.Op != token.NEQ {
		return
	}
	for _, side := range []ast.Expr{n.X, n.Y} {
		if s.TypesInfo.Types[side].Value != nil || s.TypesInfo.Types[side].IsNil() {
			return
		}
	}
	if s.secret(n.X) || s.secret(n.Y) {
		s.report(n, "secret", "a MAC or secret is compared by "+n.Op.String()+"; use hmacsig.Equal, "+
			"hmac.Equal or subtle.ConstantTimeCompare")
	}
}

func (s *state) secret(e ast.Expr) bool {
	return s.of(e).taint == mac || secretType(s.TypesInfo.TypeOf(e))
}

// equality reports the functions that stop at the first difference.
func (s *state) equality(call *ast.CallExpr, fn *types.Func) {
	switch fn.Name() {
	case "Equal", "EqualFold", "Compare", "DeepEqual", "HasPrefix", "Contains":
	default:
		return
	}
	if slices.ContainsFunc(call.Args, s.secret) {
		s.report(call, "secret", "a MAC or secret is compared by "+fn.Name()+"; use hmacsig.Equal, "+
			"hmac.Equal or subtle.ConstantTimeCompare")
		return
	}
}

// literals reports proofs that nobody proved.
func (c *check) literals(in *inspector.Inspector) {
	in.Preorder([]ast.Node{(*ast.CompositeLit)(nil), (*ast.CallExpr)(nil)}, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if isProof(c.TypesInfo.TypeOf(n)) {
				c.report(n, "literal", "this proves nothing: only a gate makes a grant or a scope")
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "new" && len(n.Args) == 1 &&
				isProof(c.TypesInfo.TypeOf(n.Args[0])) {
				c.report(n, "literal", "this proves nothing: only a gate makes a grant or a scope")
			}
		}
	})
	for _, file := range c.Files {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if obj := c.TypesInfo.Defs[name]; obj != nil && holdsProof(obj.Type(), 3) {
						c.report(name, "literal", "a global outlives the request whose access it proves")
					}
				}
			}
		}
	}
}

// holdsProof looks into containers and structs.
func holdsProof(t types.Type, depth int) bool {
	if isProof(t) {
		return true
	}
	if depth == 0 {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		return holdsProof(u.Elem(), depth-1)
	case *types.Slice:
		return holdsProof(u.Elem(), depth-1)
	case *types.Array:
		return holdsProof(u.Elem(), depth-1)
	case *types.Chan:
		return holdsProof(u.Elem(), depth-1)
	case *types.Map:
		return holdsProof(u.Elem(), depth-1) || holdsProof(u.Key(), depth-1)
	case *types.Struct:
		for f := range u.Fields() {
			if holdsProof(f.Type(), depth-1) {
				return true
			}
		}
	}
	return false
}

// forgery reports what can make a grant out of nothing, in packages that have them.
func (c *check) forgery(in *inspector.Inspector) {
	if !c.imports(tenancyPath) {
		return
	}
	for _, file := range c.Files {
		for _, spec := range file.Imports {
			if p := strings.Trim(spec.Path.Value, `"`); p == "unsafe" || p == "C" {
				c.report(spec, "forge", "with "+p+" beside it a grant is no proof: keep them in different packages")
			}
		}
		for _, group := range file.Comments {
			for _, comment := range group.List {
				if strings.HasPrefix(comment.Text, "//go:linkname ") {
					c.report(comment, "forge", "linkname reaches what only the gate may reach")
				}
			}
		}
	}
	in.Preorder([]ast.Node{(*ast.CallExpr)(nil)}, func(n ast.Node) {
		fn := c.callee(n.(*ast.CallExpr))
		if path(fn) == "reflect" && (fn.Name() == "NewAt" || fn.Name() == "UnsafePointer") {
			c.report(n, "forge", "reflect."+fn.Name()+" can write what only the gate may write")
		}
	})
}

func (c *check) imports(want string) bool {
	for _, p := range c.Pkg.Imports() {
		if p.Path() == want {
			return true
		}
	}
	return false
}

// services reports what serves users and holds a service's rights.
func (c *check) services(in *inspector.Inspector) {
	in.Preorder([]ast.Node{(*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)}, func(n ast.Node) {
		signature, body := functionOf(n)
		if body == nil || !c.handles(signature) {
			return
		}
		ast.Inspect(body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return !c.handles(n.Type) // reported on its own
			case *ast.CallExpr:
				if fn := c.callee(n); path(fn) == tenancyPath && fn.Name() == "AuthorizeService" {
					c.report(n, "service", "a handler of users must not make a service grant: let a worker do it")
				}
			case *ast.SelectorExpr:
				if named(c.TypesInfo.TypeOf(n), rlsPath, "ServiceDB") {
					c.report(n, "service", "a handler of users reaches the service's database, which no policy binds")
				}
			case *ast.Ident:
				if obj := c.TypesInfo.Uses[n]; obj != nil && !isField(obj) && named(obj.Type(), rlsPath, "ServiceDB") {
					c.report(n, "service", "a handler of users reaches the service's database, which no policy binds")
				}
			}
			return true
		})
	})
}

func isField(obj types.Object) bool {
	v, ok := obj.(*types.Var)
	return ok && v.IsField()
}

func functionOf(n ast.Node) (*ast.FuncType, *ast.BlockStmt) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return n.Type, n.Body
	case *ast.FuncLit:
		return n.Type, n.Body
	}
	return nil, nil
}

// handles reports whether a function answers requests.
func (c *check) handles(signature *ast.FuncType) bool {
	writer, request := false, false
	for _, field := range signature.Params.List {
		t := c.TypesInfo.TypeOf(field.Type)
		writer = writer || named(t, "net/http", "ResponseWriter")
		request = request || isRequest(t)
	}
	return writer && request
}

// statements reports SQL for rls that is not a constant.
func (c *check) statements(in *inspector.Inspector) {
	in.Preorder([]ast.Node{(*ast.CallExpr)(nil)}, func(n ast.Node) {
		call := n.(*ast.CallExpr)
		fn := c.callee(call)
		if path(fn) != rlsPath || fn.Signature().Recv() == nil {
			return
		}
		params := fn.Signature().Params()
		for i := range params.Len() {
			if params.At(i).Name() == "sql" && i < len(call.Args) && !c.constantText(call.Args[i], 4) {
				c.report(call.Args[i], "sql", "SQL is put together from values: pass them as arguments ($1)")
			}
		}
	})
}

// constantText reports whether a text is known when the program is built: a constant, a
// sum of such, or a variable that only ever was one.
func (c *check) constantText(e ast.Expr, depth int) bool {
	e = ast.Unparen(e)
	if c.TypesInfo.Types[e].Value != nil {
		return true
	}
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.ADD {
		return c.constantText(b.X, depth) && c.constantText(b.Y, depth)
	}
	id, ok := e.(*ast.Ident)
	if !ok || depth == 0 {
		return false
	}
	v, ok := c.TypesInfo.Uses[id].(*types.Var)
	if !ok || v.Pkg() != c.Pkg {
		return false
	}
	if v.Kind() == types.ParamVar {
		return c.constantParam(v, depth-1)
	}
	constant, assigned := true, false
	for _, file := range c.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, l := range n.Lhs {
					lid, ok := l.(*ast.Ident)
					if ok && (c.TypesInfo.Defs[lid] == v || c.TypesInfo.Uses[lid] == v) {
						assigned = true
						constant = constant && len(n.Lhs) == len(n.Rhs) && c.constantText(n.Rhs[i], depth-1)
					}
				}
			case *ast.ValueSpec:
				for i, lid := range n.Names {
					if c.TypesInfo.Defs[lid] == v && i < len(n.Values) {
						assigned = true
						constant = constant && c.constantText(n.Values[i], depth-1)
					}
				}
			}
			return true
		})
	}
	return constant && assigned
}
