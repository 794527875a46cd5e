package hmacsig

type Secret struct{ b string }

func Equal[T ~string | ~[]byte](a, b T) bool { return false }
