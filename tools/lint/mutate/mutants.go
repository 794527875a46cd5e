package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// Kind is what a mutant changes.
type Kind string

// The kinds. All but Statement change the logic of a decision; removing a
// statement often removes only a hook or a label.
const (
	Condition Kind = "condition" // if, for and case: negated, or never
	Operator  Kind = "operator"  // another operator, or one operand alone
	Constant  Kind = "constant"  // a number plus one, true for false
	Return    Kind = "return"    // another result
	Statement Kind = "statement" // removed
)

// Mutant is one change of a file. The change is switched on at run time: before
// and after go around the source between Start and End, %d stands for the
// mutant's number, and only the run of that number behaves otherwise.
type Mutant struct {
	File          string
	Line          int
	Kind          Kind
	Start, End    int
	before, after string
	Old, New      string // as a report shows them
}

// String is how a survivor is named: without its line, which moves.
func (m Mutant) String() string {
	return fmt.Sprintf("%s: %s: %s -> %s", m.File, m.Kind, oneLine(m.Old), oneLine(m.New))
}

// oneLine folds white space and cuts.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return s
}

// walker finds the mutants of one file.
type walker struct {
	name   string
	source []byte
	fset   *token.FileSet
	info   *types.Info
	pkg    *types.Package
	found  []Mutant
}

// mutants returns every mutant of a parsed and type-checked file.
func (w *walker) mutants(file *ast.File) []Mutant {
	for _, decl := range file.Decls {
		// Tables and types are data; what is decided stands in functions.
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			w.function(fn.Type, fn.Body)
		}
	}
	return w.found
}

func (w *walker) text(n ast.Node) string {
	return string(w.source[w.offset(n.Pos()):w.offset(n.End())])
}

func (w *walker) offset(p token.Pos) int { return w.fset.Position(p).Offset }

func (w *walker) add(kind Kind, n ast.Node, before, after, shown string) {
	w.found = append(w.found, Mutant{
		File: w.name, Line: w.fset.Position(n.Pos()).Line, Kind: kind,
		Start: w.offset(n.Pos()), End: w.offset(n.End()),
		before: before, after: after, Old: w.text(n), New: shown,
	})
}

// choose is a mutant that evaluates another boolean expression.
func (w *walker) choose(kind Kind, n ast.Expr, other string) {
	w.add(kind, n, "(mutantZ != %d && (", ") || mutantZ == %d && ("+other+"))", other)
}

// function walks a body whose return statements belong to its own signature.
func (w *walker) function(signature *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			w.function(n.Type, n.Body)
			return false
		case *ast.GenDecl:
			return n.Tok != token.CONST
		case *ast.ArrayType:
			return n.Len == nil
		case *ast.IfStmt:
			w.choose(Condition, n.Cond, "!("+w.text(n.Cond)+")")
		case *ast.ForStmt:
			if n.Cond != nil {
				w.choose(Condition, n.Cond, "false")
			}
		case *ast.CaseClause:
			w.caseClause(n)
		case *ast.BinaryExpr:
			w.binary(n)
		case *ast.BasicLit, *ast.Ident:
			w.constant(n.(ast.Expr))
		case *ast.ReturnStmt:
			w.results(signature, n)
		case *ast.BlockStmt:
			w.statements(n.List)
		}
		return true
	})
}

// caseClause negates the conditions of a switch without a tag.
func (w *walker) caseClause(n *ast.CaseClause) {
	for _, e := range n.List {
		if t := w.info.TypeOf(e); t != nil && isBool(t) {
			w.choose(Condition, e, "!("+w.text(e)+")")
		}
	}
	w.statements(n.Body)
}

func isBool(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

// others is what an operator that yields a boolean becomes.
var others = map[token.Token]string{
	token.EQL: "!=", token.NEQ: "==", token.LSS: "<=", token.LEQ: "<", token.GTR: ">=",
	token.GEQ: ">", token.LAND: "||", token.LOR: "&&",
}

// arithmetic is what one that yields a number becomes.
var arithmetic = map[token.Token]string{
	token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*", token.REM: "*",
	token.AND: "|", token.OR: "&", token.XOR: "&", token.SHL: ">>", token.SHR: "<<",
	token.AND_NOT: "&",
}

func (w *walker) binary(n *ast.BinaryExpr) {
	left, right := w.text(n.X), w.text(n.Y)
	if op, ok := others[n.Op]; ok {
		w.choose(Operator, n, left+" "+op+" "+right)
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		w.choose(Operator, n, left)
		w.choose(Operator, n, right)
	}
	op, ok := arithmetic[n.Op]
	value := w.info.Types[n]
	if name, named := w.typeName(value.Type); ok && named && value.Value == nil && isNumber(value.Type) {
		shown := left + " " + op + " " + right
		w.add(Operator, n, "insteadZ(%d, "+name+"(", "), func() "+name+" { return "+shown+" })", shown)
	}
}

func isNumber(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsInteger|types.IsFloat) != 0
}

// constant adds one to an integer and turns a boolean round.
func (w *walker) constant(n ast.Expr) {
	if id, ok := n.(*ast.Ident); ok {
		if id.Name == "true" || id.Name == "false" {
			w.choose(Constant, n, "!"+id.Name)
		}
		return
	}
	lit := n.(*ast.BasicLit)
	t := w.info.TypeOf(n)
	if t == nil || (lit.Kind != token.INT && lit.Kind != token.CHAR) {
		return
	}
	if name, ok := w.typeName(types.Default(t)); ok && isNumber(t) {
		w.add(Constant, n, "plusZ["+name+"](%d, ", ")", lit.Value+" + 1")
	}
}

// typeName returns how this package writes a type; false for one that it has no
// short name for.
func (w *walker) typeName(t types.Type) (string, bool) {
	if t == nil {
		return "", false
	}
	switch t := t.(type) {
	case *types.Basic, *types.Named, *types.Alias, *types.TypeParam:
		return types.TypeString(t, func(p *types.Package) string {
			if p == w.pkg {
				return ""
			}
			return p.Name()
		}), true
	}
	return "", false
}

// results replaces each result by the zero value, by the opposite, or by one more.
func (w *walker) results(signature *ast.FuncType, n *ast.ReturnStmt) {
	var list []ast.Expr
	if signature.Results != nil {
		for _, field := range signature.Results.List {
			for range max(1, len(field.Names)) {
				list = append(list, field.Type)
			}
		}
	}
	if len(list) != len(n.Results) {
		return
	}
	for i, e := range n.Results {
		w.result(list[i], e)
	}
}

func (w *walker) result(typ, e ast.Expr) {
	t, old := w.info.TypeOf(typ), w.text(e)
	if t == nil || old == "nil" || old == "true" || old == "false" {
		return
	}
	name := w.text(typ)
	switch u := t.Underlying().(type) {
	case *types.Basic:
		_, literal := e.(*ast.BasicLit)
		switch {
		case literal: // a number is a constant, and texts are for people
		case isBool(t):
			w.choose(Return, e, "!("+old+")")
		case isNumber(t):
			w.add(Return, e, "plusZ["+name+"](%d, ", ")", old+" + 1")
		case u.Info()&types.IsString != 0:
			w.add(Return, e, "zeroZ["+name+"](%d, ", ")", `""`)
		}
	case *types.Pointer, *types.Map, *types.Slice, *types.Signature, *types.Interface, *types.Struct:
		if lit, ok := e.(*ast.CompositeLit); ok && len(lit.Elts) == 0 {
			return
		}
		w.add(Return, e, "zeroZ["+name+"](%d, ", ")", "zero")
	}
}

// statements removes each statement that can be missing.
func (w *walker) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt:
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || blank(s.Lhs) {
				continue
			}
		case *ast.BranchStmt:
			if s.Label != nil || s.Tok == token.FALLTHROUGH || s.Tok == token.GOTO {
				continue
			}
		default:
			continue
		}
		w.add(Statement, s, "if mutantZ != %d { ", " }", "removed")
	}
}

// blank reports whether an assignment keeps nothing.
func blank(targets []ast.Expr) bool {
	for _, e := range targets {
		if id, ok := e.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}
