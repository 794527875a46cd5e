package sitecheck

import (
	"go/ast"
	"go/types"
)

// constantParam reports whether a parameter is given constant texts alone: its function
// is this package's own business, does nothing to it, and is only ever called.
func (c *check) constantParam(v *types.Var, depth int) bool {
	fn, at := c.functionOf(v)
	if fn == nil || fn.Exported() || c.assigned(v) {
		return false
	}
	calls, uses := 0, 0
	for id, obj := range c.TypesInfo.Uses {
		if f, ok := obj.(*types.Func); ok && f.Origin() == fn && id != nil {
			uses++
		}
	}
	constant := true
	for _, file := range c.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f := c.callee(call); f != nil && f.Origin() == fn {
				calls++
				constant = constant && at < len(call.Args) && c.constantText(call.Args[at], depth)
			}
			return true
		})
	}
	return constant && calls > 0 && calls == uses
}

// functionOf returns the function that has a parameter, and which one it is.
func (c *check) functionOf(v *types.Var) (*types.Func, int) {
	for _, file := range c.Files {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if i := parameter(c.TypesInfo, fn.Type, v); i >= 0 {
				obj, _ := c.TypesInfo.Defs[fn.Name].(*types.Func)
				return obj, i
			}
		}
	}
	return nil, -1
}

// assigned reports whether a variable is written to, or its address taken.
func (c *check) assigned(v *types.Var) bool {
	found := false
	is := func(e ast.Expr) bool {
		id, ok := ast.Unparen(e).(*ast.Ident)
		return ok && c.TypesInfo.Uses[id] == v
	}
	for _, file := range c.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, l := range n.Lhs {
					found = found || is(l)
				}
			case *ast.UnaryExpr:
				found = found || is(n.X)
			}
			return !found
		})
	}
	return found
}
