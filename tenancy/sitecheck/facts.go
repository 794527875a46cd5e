package sitecheck

import (
	"go/ast"
	"go/constant"
	"go/types"
	"slices"
	"strings"
)

// learn finds this package's helpers that return a part of a request, through any number
// of calls, and exports them as facts.
func (c *check) learn() {
	for changed := true; changed; {
		changed = false
		for _, file := range c.Files {
			for _, decl := range file.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				obj, _ := c.TypesInfo.Defs[fn.Name].(*types.Func)
				if obj == nil || c.ImportObjectFact(obj, new(reads)) {
					continue
				}
				if fact := c.returnsPart(fn); fact != nil {
					c.ExportObjectFact(obj, fact)
					changed = true
				}
			}
		}
	}
}

// returnsPart looks at what a function returns.
func (c *check) returnsPart(fn *ast.FuncDecl) *reads {
	if !c.takes(fn.Type) {
		return nil
	}
	s := &state{check: c, values: map[types.Object]origin{}, handler: true}
	sources := map[types.Object]*reads{}
	part := func(e ast.Expr) *reads {
		var found *reads
		ast.Inspect(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f := s.part(n, fn.Type); f != nil {
					found = f
				}
			case *ast.Ident:
				if f := sources[s.object(n)]; f != nil {
					found = f
				}
			}
			return true
		})
		return found
	}
	var fact *reads
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.AssignStmt:
			if id, ok := n.Lhs[0].(*ast.Ident); ok && len(n.Rhs) == 1 {
				if f := part(n.Rhs[0]); f != nil {
					sources[s.object(id)] = f
				}
			}
		case *ast.ReturnStmt:
			if len(n.Results) > 0 && carries(c.TypesInfo.TypeOf(n.Results[0])) {
				if f := part(n.Results[0]); f != nil {
					fact = f
				}
			}
		}
		return true
	})
	return fact
}

// part is the fact of one call that reads a request.
func (s *state) part(call *ast.CallExpr, signature *ast.FuncType) *reads {
	fn := s.callee(call)
	var known reads
	if fn != nil && s.ImportObjectFact(fn, &known) && known.NameParam < 0 {
		return &known
	}
	if !s.fromRequest(call) || fn != nil && ofSession(fn) {
		return nil
	}
	for _, a := range call.Args {
		if name, ok := s.text(a); ok && s.judge(name, nil).taint != clean {
			return &reads{name, -1}
		}
		if id, ok := ast.Unparen(a).(*ast.Ident); ok {
			if i := parameter(s.TypesInfo, signature, s.object(id)); i >= 0 &&
				types.Identical(s.TypesInfo.TypeOf(id), types.Typ[types.String]) {
				return &reads{"", i}
			}
		}
	}
	return nil
}

// parameter returns the position of a parameter, or -1.
func parameter(info *types.Info, signature *ast.FuncType, obj types.Object) int {
	i := 0
	for _, field := range signature.Params.List {
		for _, name := range field.Names {
			if info.Defs[name] == obj {
				return i
			}
			i++
		}
	}
	return -1
}

// learnHeaders finds the headers that this package and those it imports write into a
// request: a middleware's word on who is asking, and no longer the client's.
func (c *check) learnHeaders() {
	for _, fact := range c.AllPackageFacts() {
		if f, ok := fact.Fact.(*sets); ok {
			for _, name := range f.Headers {
				c.set[name] = true
			}
		}
	}
	own := new(sets)
	for _, file := range c.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name, ok := c.headerSet(call); ok && !slices.Contains(own.Headers, name) {
					own.Headers = append(own.Headers, name)
					c.set[name] = true
				}
			}
			return true
		})
	}
	if len(own.Headers) > 0 {
		c.ExportPackageFact(own)
	}
}

// headerSet is for r.Header.Set("X-User-ID", value), outside of tests.
func (c *check) headerSet(call *ast.CallExpr) (string, bool) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Set" || len(call.Args) != 2 ||
		c.tests[c.Fset.Position(call.Pos()).Filename] {
		return "", false
	}
	header, ok := ast.Unparen(sel.X).(*ast.SelectorExpr)
	if !ok || !isRequest(c.TypesInfo.TypeOf(header.X)) || !c.given(header.X) {
		return "", false
	}
	v := c.TypesInfo.Types[call.Args[0]].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return strings.ToLower(constant.StringVal(v)), true
}

// given reports whether a request is a parameter, so one that came in.
func (c *check) given(e ast.Expr) bool {
	id, ok := ast.Unparen(e).(*ast.Ident)
	if !ok {
		return false
	}
	v, ok := c.TypesInfo.Uses[id].(*types.Var)
	return ok && v.Kind() == types.ParamVar
}
