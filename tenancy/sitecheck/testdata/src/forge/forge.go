package forge

import (
	"reflect"
	"unsafe" // want `forge: `

	"github.com/opsmantik/sallyport/tenancy"
)

func forge(s *tenancy.Scope) {
	v := reflect.NewAt(reflect.TypeOf(*s), unsafe.Pointer(s)) // want `forge: `
	_ = v
}
