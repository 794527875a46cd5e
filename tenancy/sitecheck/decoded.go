package sitecheck

import (
	"go/ast"
	"go/types"
)

// learnDecoded finds the structs of this package that may be read from a request: a
// pointer to one is handed to something that takes anything, as decoders do, or it is a
// type argument, or reads the request itself; and what such a struct holds. A struct that
// is only ever written as an answer is none, whatever its tags say.
func (c *check) learnDecoded() {
	for _, file := range c.Files {
		if c.tests[c.Fset.Position(file.Pos()).Filename] {
			continue // tests read answers
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				c.decodedBy(n)
			case *ast.FuncDecl:
				if n.Recv != nil && c.takes(n.Type) {
					c.addDecoded(c.TypesInfo.TypeOf(n.Recv.List[0].Type))
				}
			}
			return true
		})
	}
	for id, instance := range c.TypesInfo.Instances {
		fn, ok := c.TypesInfo.Uses[id].(*types.Func)
		if !ok || fn.Pkg() != c.Pkg && standard(path(fn)) || c.tests[c.Fset.Position(id.Pos()).Filename] {
			continue // slices and maps decode nothing
		}
		for t := range instance.TypeArgs.Types() {
			c.addDecoded(t)
		}
	}
}

func (c *check) decodedBy(call *ast.CallExpr) {
	signature, ok := c.TypesInfo.TypeOf(call.Fun).(*types.Signature)
	if !ok {
		return
	}
	params := signature.Params()
	for i, a := range call.Args {
		if params.Len() == 0 {
			return
		}
		param := params.At(min(i, params.Len()-1)).Type()
		if slice, ok := param.(*types.Slice); ok && signature.Variadic() && i >= params.Len()-1 {
			param = slice.Elem()
		}
		if _, isPointer := types.Unalias(c.TypesInfo.TypeOf(a)).(*types.Pointer); isPointer &&
			types.IsInterface(param) {
			c.addDecoded(c.TypesInfo.TypeOf(a))
		}
	}
}

// addDecoded notes a type and all that it holds.
func (c *check) addDecoded(t types.Type) {
	switch t := types.Unalias(t).(type) {
	case *types.Pointer:
		c.addDecoded(t.Elem())
	case *types.Slice:
		c.addDecoded(t.Elem())
	case *types.Array:
		c.addDecoded(t.Elem())
	case *types.Map:
		c.addDecoded(t.Elem())
	case *types.Named:
		if t.Obj().Pkg() != c.Pkg || c.decoded[t.Origin().Obj()] {
			return
		}
		c.decoded[t.Origin().Obj()] = true
		c.addDecoded(t.Underlying())
	case *types.Struct:
		for f := range t.Fields() {
			c.addDecoded(f.Type())
		}
	}
}
