// Package repocheck tests the repository itself: which package may import
// which, what lies at the top level, whether the documents name tests, modules
// and reasons that exist, and two rules of style that no linter has.
//
// The checks live in the tests. Here is only what they share with depslist, the
// command that writes docs/dependencies.md.
package repocheck
