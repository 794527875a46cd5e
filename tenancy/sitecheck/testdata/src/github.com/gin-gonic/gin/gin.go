package gin

import "context"

type Context struct{}

func (*Context) Param(name string) string     { return "" }
func (*Context) Query(name string) string     { return "" }
func (*Context) GetHeader(name string) string { return "" }
func (*Context) Ctx() context.Context         { return nil }
