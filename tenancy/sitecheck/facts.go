package sitecheck

import (
	"go/ast"
	"go/types"
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
	s := &state{check: c, values: map[types.Object]taint{}, handler: true}
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
	if !s.fromRequest(call) {
		return nil
	}
	for _, a := range call.Args {
		if name, ok := s.text(a); ok && s.judge(name) != clean {
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
