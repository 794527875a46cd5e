package sitecheck

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"reflect"
	"strings"
)

// taint is where a value comes from.
type taint uint8

const (
	clean  taint = iota
	child        // an id from the request that is no tenant's
	tenant       // a tenant's id from the request
	mac          // a message authentication code, or a secret
)

// origin is a value's taint, the name by which the request had it, and the function or
// field that it was read by.
type origin struct {
	taint
	name string
	by   types.Object
}

// worse returns the one of two that weighs more, the first of equals.
func worse(a, b origin) origin {
	if b.taint > a.taint {
		return b
	}
	return a
}

// state is what is known inside one function.
type state struct {
	*check
	values    map[types.Object]origin
	handler   bool            // the function, or one written inside it, is given a request
	told      map[origin]bool // what has been reported: one finding for each id of a request
	proved    []proof
	scoped    map[types.Object]bool // structs of parameters that were made with a tenant
	tenantIDs map[origin]bool       // ids that something takes for a tenant's, whatever their name
}

// flow follows values through one function, its literals included, to a fixed point, and
// reports where they end up.
func (c *check) flow(signature *ast.FuncType, body *ast.BlockStmt) {
	s := &state{
		check: c, values: map[types.Object]origin{}, told: map[origin]bool{}, tenantIDs: map[origin]bool{},
		scoped: map[types.Object]bool{},
	}
	s.handler = c.takes(signature) || c.encloses(body)
	for changed := true; changed; {
		changed = false
		ast.Inspect(body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				changed = s.assign(n.Lhs, n.Rhs) || changed
			case *ast.ValueSpec:
				lhs := make([]ast.Expr, len(n.Names))
				for i, id := range n.Names {
					lhs[i] = id
				}
				changed = s.assign(lhs, n.Values) || changed
			}
			return true
		})
	}
	s.findTenants(body)
	s.prove(body)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if c.isGateConfiguration(n) {
				return false
			}
			s.call(n)
		case *ast.CompositeLit:
			if named(c.TypesInfo.TypeOf(n), tenancyPath, "Config") {
				return false // Identify, Member and lookups are the gate's own
			}
		case *ast.BinaryExpr:
			s.comparison(n)
		case *ast.SwitchStmt:
			if n.Tag != nil && s.of(n.Tag).taint == mac {
				c.report(n, "secret", "a MAC or secret is compared by switch; use hmacsig.Equal")
			}
		}
		return true
	})
}

// takes reports whether a function is given a request.
func (c *check) takes(signature *ast.FuncType) bool {
	for _, field := range signature.Params.List {
		if isRequest(c.TypesInfo.TypeOf(field.Type)) {
			return true
		}
	}
	return false
}

// encloses reports whether a function that is given a request is written inside this one,
// other than for the gate.
func (c *check) encloses(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			return !c.isGateConfiguration(n)
		case *ast.CompositeLit:
			return !named(c.TypesInfo.TypeOf(n), tenancyPath, "Config")
		case *ast.FuncLit:
			found = found || c.takes(n.Type)
		}
		return true
	})
	return found
}

// isRequest is for *http.Request, what frameworks put in its place, and a service's own
// context around that.
func isRequest(t types.Type) bool {
	if isContextOfFramework(t) {
		return true
	}
	if t == nil {
		return false
	}
	if _, ok := types.Unalias(deref(t)).(*types.Named); !ok {
		return false
	}
	st, ok := deref(t).Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for f := range st.Fields() {
		if f.Embedded() && isContextOfFramework(f.Type()) {
			return true
		}
	}
	return false
}

func isContextOfFramework(t types.Type) bool {
	if named(t, "net/http", "Request") {
		return true
	}
	if t == nil {
		return false
	}
	n, ok := types.Unalias(deref(t)).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return false
	}
	p := n.Obj().Pkg().Path()
	name := n.Obj().Name()
	return (name == "Context" || name == "Ctx") && (strings.Contains(p, "gin-gonic/gin") ||
		strings.Contains(p, "labstack/echo") || strings.Contains(p, "gofiber/fiber"))
}

func deref(t types.Type) types.Type {
	if p, ok := t.(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}

// isProof is for the values that only a gate makes.
func isProof(t types.Type) bool {
	return named(t, tenancyPath, "Grant", "Scope", "ServiceGrant", "ServiceScope")
}

// isGateConfiguration is for calls whose function arguments belong to the gate.
func (c *check) isGateConfiguration(call *ast.CallExpr) bool {
	return path(c.callee(call)) == tenancyPath
}

// assign carries taints from right to left and reports whether something was new.
func (s *state) assign(left, right []ast.Expr) bool {
	changed := false
	set := func(e ast.Expr, o origin) {
		id, ok := ast.Unparen(e).(*ast.Ident)
		if !ok || o.taint == clean {
			return
		}
		if obj := s.object(id); obj != nil && s.values[obj].taint < o.taint {
			s.values[obj] = o
			changed = true
		}
	}
	switch {
	case len(left) == len(right):
		for i := range left {
			set(left[i], s.of(right[i]))
			if id, ok := left[i].(*ast.Ident); ok && s.madeScoped(right[i]) {
				s.scoped[s.object(id)] = true
			}
		}
	case len(right) == 1: // v, err := f(); the value comes first
		set(left[0], s.of(right[0]))
	}
	return changed
}

// madeScoped is for a literal of parameters that names the tenant among them.
func (s *state) madeScoped(e ast.Expr) bool {
	if unary, ok := ast.Unparen(e).(*ast.UnaryExpr); ok {
		e = unary.X
	}
	literal, ok := ast.Unparen(e).(*ast.CompositeLit)
	return ok && s.proves(literal)
}

func (s *state) object(id *ast.Ident) types.Object {
	if obj := s.TypesInfo.Defs[id]; obj != nil {
		return obj
	}
	return s.TypesInfo.Uses[id]
}

// of returns where an expression comes from.
func (s *state) of(e ast.Expr) origin {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return s.values[s.object(e)]
	case *ast.SelectorExpr:
		return s.field(e)
	case *ast.IndexExpr:
		if o := s.element(e); o.taint != clean {
			return o
		}
		return s.of(e.X)
	case *ast.SliceExpr:
		return s.of(e.X)
	case *ast.StarExpr:
		return s.of(e.X)
	case *ast.UnaryExpr:
		return s.of(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return worse(s.of(e.X), s.of(e.Y))
		}
	case *ast.CompositeLit:
		return s.composite(e)
	case *ast.CallExpr:
		return s.result(e)
	}
	return origin{}
}

// field is for a struct's field that a decoder fills from the request: its tag names a
// tenant.
func (s *state) field(e *ast.SelectorExpr) origin {
	selection := s.TypesInfo.Selections[e]
	if selection == nil || selection.Kind() != types.FieldVal {
		return origin{}
	}
	if secretType(selection.Type()) {
		return origin{taint: mac}
	}
	tag := tagOf(selection)
	for _, key := range []string{"param", "uri", "path", "query", "header", "form", "json", "schema", "url"} {
		name, _, _ := strings.Cut(tag.Get(key), ",")
		if name == "" || name == "-" || !s.decodes(selection.Recv(), key) {
			continue
		}
		if o := s.judge(name, selection.Obj()); o.taint != clean {
			return o
		}
	}
	return s.of(e.X)
}

// tagOf returns the tag of a selected field.
func tagOf(selection *types.Selection) reflect.StructTag {
	t := selection.Recv()
	index := selection.Index()
	for i, n := range index {
		st, ok := deref(t).Underlying().(*types.Struct)
		if !ok {
			return ""
		}
		if i == len(index)-1 {
			return reflect.StructTag(st.Tag(n))
		}
		t = st.Field(n).Type()
	}
	return ""
}

// decodes reports whether a struct is one that requests are decoded into: one of this
// package that something decodes, or one without a name, in a function that has a request;
// one of another package if its tag can mean nothing else.
func (s *state) decodes(t types.Type, key string) bool {
	switch key {
	case "param", "uri", "path", "query", "header":
		return s.handler
	}
	n, ok := types.Unalias(deref(t)).(*types.Named)
	return s.handler && (!ok || n.Obj().Pkg() == s.Pkg && s.decoded[n.Origin().Obj()])
}

// element is for mux.Vars(r)["site_id"].
func (s *state) element(e *ast.IndexExpr) origin {
	name, ok := s.text(e.Index)
	if !ok || !isStringMap(s.TypesInfo.TypeOf(e.X)) || !s.fromRequest(e.X) {
		return origin{}
	}
	return s.judge(name, nil)
}

func isStringMap(t types.Type) bool {
	m, ok := t.Underlying().(*types.Map)
	return ok && types.Identical(m.Key(), types.Typ[types.String])
}

// fromRequest reports whether an expression is made of a request: a call that takes one,
// a method or field of one, or a variable of such a call.
func (s *state) fromRequest(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if isRequest(s.TypesInfo.TypeOf(e)) {
			return true
		}
		t := s.TypesInfo.TypeOf(e)
		return named(t, "net/url", "Values") || named(t, "net/http", "Header")
	case *ast.SelectorExpr:
		return isRequest(s.TypesInfo.TypeOf(e)) || s.fromRequest(e.X)
	case *ast.CallExpr:
		for _, a := range e.Args {
			if isRequest(s.TypesInfo.TypeOf(a)) {
				return true
			}
		}
		if sel, ok := ast.Unparen(e.Fun).(*ast.SelectorExpr); ok {
			return s.fromRequest(sel.X)
		}
	}
	return false
}

func (s *state) text(e ast.Expr) (string, bool) {
	v := s.TypesInfo.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(v), true
}

// judge says what a name in a request names.
func (c *check) judge(name string, by types.Object) origin {
	switch {
	case c.tenants[strings.ToLower(name)]:
		return origin{tenant, name, by}
	case idLike(name) && !c.set[strings.ToLower(name)] && !traces[strings.ToLower(name)]:
		return origin{child, name, by}
	}
	return origin{}
}

// ofSession is for functions that look a value up in a session: the server keeps it, or
// has signed it.
func ofSession(fn *types.Func) bool {
	if recv := fn.Signature().Recv(); recv != nil {
		if n, ok := types.Unalias(deref(recv.Type())).(*types.Named); ok &&
			strings.Contains(strings.ToLower(n.Obj().Name()), "session") {
			return true
		}
	}
	p := path(fn)
	return strings.Contains(strings.ToLower(p[strings.LastIndex(p, "/")+1:]), "session")
}

// traces name requests, and no rows.
var traces = map[string]bool{"x-request-id": true, "x-correlation-id": true, "x-trace-id": true}

func idLike(name string) bool {
	lower := strings.ToLower(name)
	return lower == "id" || strings.HasSuffix(lower, "_id") || strings.HasSuffix(lower, "-id") ||
		strings.HasSuffix(name, "ID") || strings.HasSuffix(name, "Id") || strings.HasSuffix(lower, "uuid")
}

// composite is as tainted as its parts: a struct of parameters for a query.
func (s *state) composite(e *ast.CompositeLit) origin {
	var worst origin
	for _, part := range e.Elts {
		if pair, ok := part.(*ast.KeyValueExpr); ok {
			part = pair.Value
		}
		worst = worse(worst, s.of(part))
	}
	return worst
}

// result is the taint of what a call returns.
func (s *state) result(call *ast.CallExpr) origin {
	if t := s.TypesInfo.Types[call.Fun]; t.IsType() && len(call.Args) == 1 { // a conversion
		return s.of(call.Args[0])
	}
	if s.makesMAC(call) || s.isNewMAC(call) {
		return origin{taint: mac}
	}
	if o, ok := s.readsRequest(call); ok {
		return o
	}
	if s.isGateConfiguration(call) {
		return origin{}
	}
	// A function of strings or ids that is not ours to look into: parse, trim, convert. It
	// keeps what it was given, unless it gives back something else altogether.
	fn := s.callee(call)
	if fn == nil || !carries(s.TypesInfo.TypeOf(call)) {
		return origin{}
	}
	var worst origin
	for _, a := range call.Args {
		worst = worse(worst, s.of(a))
	}
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && standard(path(fn)) {
		worst = worse(worst, s.of(sel.X))
	}
	if worst.taint != clean && s.takesContext(fn) {
		return origin{} // it went somewhere: the call itself is judged
	}
	return worst
}

// carries reports whether a type can hold an id.
func carries(t types.Type) bool {
	if tuple, ok := t.(*types.Tuple); ok && tuple.Len() > 0 {
		t = tuple.At(0).Type()
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&(types.IsString|types.IsInteger) != 0
	case *types.Array:
		return true // a UUID
	case *types.Slice:
		return types.Identical(u.Elem(), types.Typ[types.Byte])
	case *types.Struct: // pgtype.UUID, sql.NullString
		return u.NumFields() <= 2
	}
	return false
}

// readsRequest judges calls that read a part of a request, by a constant name.
func (s *state) readsRequest(call *ast.CallExpr) (origin, bool) {
	fn := s.callee(call)
	if fn == nil {
		return origin{}, false
	}
	var fact reads
	if s.ImportObjectFact(fn, &fact) {
		if fact.NameParam >= 0 && fact.NameParam < len(call.Args) {
			if name, ok := s.text(call.Args[fact.NameParam]); ok {
				return s.judge(name, fn), true
			}
			return origin{}, false
		}
		return s.judge(fact.Name, fn), true
	}
	if !s.fromRequest(call) || ofSession(fn) {
		return origin{}, false
	}
	for _, a := range call.Args {
		if name, ok := s.text(a); ok {
			return s.judge(name, fn), true
		}
	}
	return origin{}, false
}
