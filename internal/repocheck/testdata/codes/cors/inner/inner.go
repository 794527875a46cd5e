package inner

const codeTwice = "twice"

var kinds = []refusal.Kind{{"elided", 403, "Not seen: name the type or a constant"}}

var kind = refusal.Kind{"kind", 403, "Kind"}
