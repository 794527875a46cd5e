package sitecheck

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// proof is that an id of the request has been found to be a tenant's own: a row was asked
// for by it and the tenant together, and who finds none leaves. It holds from there to the
// end of the block.
type proof struct {
	origin
	from, to token.Pos
}

// proven reports whether an id is known to be the tenant's where a call stands.
func (s *state) proven(o origin, call *ast.CallExpr) bool {
	return slices.ContainsFunc(s.proved, func(p proof) bool {
		return p.origin == o && p.from <= call.Pos() && call.End() <= p.to
	})
}

// prove collects the proofs of a function.
func (s *state) prove(body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		}
		for i, statement := range list {
			call, after := s.guarded(statement, list[i+1:])
			if call == nil {
				continue
			}
			for _, o := range s.scopedIDs(call) {
				s.proved = append(s.proved, proof{o, after, n.End()})
			}
		}
		return true
	})
}

// guarded returns the call of a statement whose failure ends the function, and where the
// statements begin that run after its success alone.
func (s *state) guarded(statement ast.Stmt, rest []ast.Stmt) (*ast.CallExpr, token.Pos) {
	test, ok := statement.(*ast.IfStmt)
	if ok && test.Init != nil {
		assigned, _ := test.Init.(*ast.AssignStmt)
		return s.callOf(assigned, test), test.End()
	}
	assigned, ok := statement.(*ast.AssignStmt)
	if !ok || len(rest) == 0 {
		return nil, 0
	}
	test, ok = rest[0].(*ast.IfStmt)
	if !ok || test.Init != nil {
		return nil, 0
	}
	return s.callOf(assigned, test), test.End()
}

// callOf returns the call on the right, if a test of its last result leaves on failure.
func (s *state) callOf(assigned *ast.AssignStmt, test *ast.IfStmt) *ast.CallExpr {
	if assigned == nil || len(assigned.Rhs) != 1 || !leaves(test.Body) {
		return nil
	}
	call, ok := assigned.Rhs[0].(*ast.CallExpr)
	last, isName := assigned.Lhs[len(assigned.Lhs)-1].(*ast.Ident)
	if !ok || !isName || !s.fails(test.Cond, s.object(last)) {
		return nil
	}
	return call
}

// fails reports whether a condition holds whenever a call has failed: err != nil or !ok,
// alone or before an or.
func (s *state) fails(cond ast.Expr, result types.Object) bool {
	is := func(e ast.Expr) bool {
		id, ok := ast.Unparen(e).(*ast.Ident)
		return ok && result != nil && s.object(id) == result
	}
	switch cond := ast.Unparen(cond).(type) {
	case *ast.UnaryExpr:
		return cond.Op == token.NOT && is(cond.X)
	case *ast.BinaryExpr:
		switch cond.Op {
		case token.LOR:
			return s.fails(cond.X, result) || s.fails(cond.Y, result)
		case token.NEQ:
			return is(cond.X) && s.TypesInfo.Types[cond.Y].IsNil()
		}
	}
	return false
}

// leaves reports whether a block ends by leaving the function or the loop's turn.
func leaves(body *ast.BlockStmt) bool {
	if len(body.List) == 0 {
		return false
	}
	switch last := body.List[len(body.List)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.BranchStmt:
		return last.Tok == token.CONTINUE || last.Tok == token.BREAK
	}
	return false
}

// scopedIDs returns the ids that a call asks for together with a tenant.
func (s *state) scopedIDs(call *ast.CallExpr) []origin {
	if !s.sink(call, s.callee(call)) {
		return nil
	}
	var ids []origin
	scoped := false
	note := func(e ast.Expr) {
		switch o := s.id(e); o.taint {
		case child:
			ids = append(ids, o)
		case tenant:
			scoped = true // reported on its own
		}
	}
	for _, a := range call.Args {
		scoped = scoped || s.proves(a)
		literal, ok := ast.Unparen(a).(*ast.CompositeLit)
		if !ok {
			note(a)
			continue
		}
		for _, part := range literal.Elts {
			if pair, ok := part.(*ast.KeyValueExpr); ok {
				part = pair.Value
			}
			note(part)
		}
	}
	if !scoped {
		return nil
	}
	return ids
}

// findTenants notes the ids that are handed on as a tenant's: to a parameter or field that
// is named after one. In /workspaces/{id} the name alone does not tell.
func (s *state) findTenants(body *ast.BlockStmt) {
	note := func(name string, e ast.Expr) {
		if o := s.of(e); o.taint == child && s.isTenantID(name) {
			s.tenantIDs[o] = true
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			fn := s.callee(n)
			if fn == nil || standard(path(fn)) {
				return true
			}
			params := fn.Signature().Params()
			for i := range min(params.Len(), len(n.Args)) {
				note(params.At(i).Name(), n.Args[i])
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok {
				note(id.Name, n.Value)
			}
		}
		return true
	})
}

// id is where an id comes from, as a tenant's if something takes it for one.
func (s *state) id(e ast.Expr) origin {
	o := s.of(e)
	if s.tenantIDs[o] {
		o.taint = tenant
	}
	return o
}
