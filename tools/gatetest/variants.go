package gatetest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// variant is a request for an id of somebody else: where it is put, and how it is
// written. It knows no id yet, since every server may have its own.
type variant struct {
	place, spelling string
	kind            string // of the id
	nth             int    // among those that the tenant has of the kind
	method          string // if not that of the route
	selects         bool   // no id is in it, so that there is no twin
	// build makes the request with an id. Nil: it does not apply.
	build func(a asker, id string) *draft
}

// asker is a user of a tenant on a server.
type asker struct {
	*trial
	tenant Tenant
	user   func(*http.Request)
}

// draft makes the request, or nil if there is none of this kind.
func (v variant) draft(a asker, id string) *draft {
	d := v.build(a, id)
	if d != nil && v.method != "" {
		d.Method = v.method
	}
	return d
}

func (v variant) String() string {
	text := v.place + ", " + v.spelling
	if v.method != "" {
		text = v.method + ", " + text
	}
	return text
}

// with returns the request of the route with one's own ids, except where put says
// otherwise.
func (a asker) with(put func(h hole, quoted bool) (string, bool)) *draft {
	route := a.declared.filled(a.tenant, func(h hole, quoted bool) string {
		if text, ok := put(h, quoted); ok {
			return text
		}
		return a.tenant.own(h, quoted)
	})
	method, target := route.line()
	if _, err := http.NewRequest(method, "http://server.invalid"+target, http.NoBody); err != nil {
		return nil // no client can send it
	}
	for _, values := range route.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "\x00\r\n") }) {
			return nil
		}
	}
	return a.draftAs(route, a.user)
}

// genuine is what the asker may ask for.
func (a asker) genuine() *draft {
	return a.with(func(hole, bool) (string, bool) { return "", false })
}

// variants are all requests for what a tenant owns that can be made of the route.
func (r *Route) variants(t Tenant) (all []variant) {
	holes := r.holes(t)
	for _, h := range holes {
		all = append(all, spelledIn(h)...)
		all = append(all, plainIn(h, t)...)
		all = append(all, selecting(h)...)
	}
	all = append(all, together(holes)...)
	for _, kind := range sortedKinds(t) {
		all = append(all, r.added(kind)...)
	}
	return append(all, r.methods(holes)...)
}

func sortedKinds(t Tenant) (kinds []string) {
	for kind := range t.IDs {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// spelledIn puts an id of the kind of the hole there, in every spelling.
func spelledIn(h hole) (all []variant) {
	add := func(s spelling, name string, raw func(h hole, text string, quoted bool) string) {
		all = append(all, variant{
			place: h.String(), spelling: name, kind: h.kind,
			build: func(a asker, id string) *draft {
				text, ok := s.text(a.tenant.IDs[h.kind][0], id)
				if !ok {
					return nil
				}
				return a.with(func(at hole, quoted bool) (string, bool) {
					return raw(h, text, quoted), at == h
				})
			},
		})
	}
	asText := func(h hole, text string, quoted bool) string { return h.escape(text, quoted) }
	asIs := func(_ hole, text string, _ bool) string { return text }
	for _, s := range textSpellings {
		name := s.name
		if name == "percent-encoded" && (h.part == "path" || h.part == "query") {
			name = "percent-encoded twice"
		}
		add(s, name, asText)
	}
	switch h.part {
	case "path", "query":
		for _, s := range rawSpellings {
			if h.part == "path" || !strings.Contains(s.name, "path") {
				add(s, s.name, asIs)
			}
		}
	case "body":
		for _, s := range jsonSpellings {
			add(s, s.name, asIs)
		}
	}
	return append(all, doubledIn(h)...)
}

// doubledIn repeats a query parameter, before and after one's own.
func doubledIn(h hole) (all []variant) {
	if h.part != "query" {
		return nil
	}
	for name, join := range map[string]func(own, id, rest string) string{
		"own first, repeated": func(own, id, name string) string { return own + "&" + name + "=" + id },
		"own last, repeated":  func(own, id, name string) string { return id + "&" + name + "=" + own },
		"own first, as an array": func(own, id, name string) string {
			return own + "&" + name + "%5B%5D=" + id
		},
	} {
		all = append(all, variant{
			place: h.String(), spelling: name, kind: h.kind,
			build: func(a asker, id string) *draft {
				_, target := a.declared.line()
				_, query, _ := strings.Cut(target, "?")
				before, _, _ := strings.Cut(query, "={"+h.kind+"}")
				parameter := before[strings.LastIndexByte(before, '&')+1:]
				own := url.QueryEscape(a.tenant.IDs[h.kind][0])
				return a.with(func(at hole, _ bool) (string, bool) {
					return join(own, url.QueryEscape(id), parameter), at == h
				})
			},
		})
	}
	slices.SortFunc(all, func(a, b variant) int { return strings.Compare(a.spelling, b.spelling) })
	return all
}

// plainIn puts every other id there as it is, those of other kinds too.
func plainIn(h hole, t Tenant) (all []variant) {
	for _, kind := range sortedKinds(t) {
		for nth := range t.IDs[kind] {
			if kind == h.kind && nth == 0 {
				continue // spelledIn has it
			}
			name := plain.name
			if kind != h.kind {
				name = "an id of the kind " + kind
			}
			all = append(all, variant{
				place: h.String(), spelling: name, kind: kind, nth: nth,
				build: func(a asker, id string) *draft {
					return a.with(func(at hole, quoted bool) (string, bool) {
						return h.escape(id, quoted), at == h
					})
				},
			})
		}
	}
	return all
}

// selecting puts there what selects more than one.
func selecting(h hole) (all []variant) {
	for _, text := range selectors {
		all = append(all, variant{
			place: h.String(), spelling: quote(text), kind: h.kind, selects: true,
			build: func(a asker, _ string) *draft {
				return a.with(func(at hole, quoted bool) (string, bool) {
					return h.escape(text, quoted), at == h
				})
			},
		})
	}
	return all
}

// together puts ids of the same tenant into all holes, since two that agree with
// each other may be taken for one's own.
func together(holes []hole) []variant {
	if len(holes) < 2 {
		return nil
	}
	return []variant{{
		place: "all places at once", spelling: plain.name, kind: holes[0].kind,
		build: func(a asker, id string) *draft {
			owner, ok := a.ownerOf(holes[0].kind, id)
			return a.with(func(at hole, quoted bool) (string, bool) {
				if !ok && at.kind != holes[0].kind {
					return at.escape(a.nowhere(at.kind), quoted), true
				}
				if at.kind == holes[0].kind {
					return at.escape(id, quoted), true
				}
				return owner.own(at, quoted), true
			})
		},
	}}
}

// methods asks for the id with every other method.
func (r *Route) methods(holes []hole) (all []variant) {
	at := slices.IndexFunc(holes, func(h hole) bool { return h.part == "path" || h.part == "query" })
	if at < 0 {
		return nil
	}
	h := holes[at]
	own, _ := r.line()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"} {
		if method == own {
			continue
		}
		all = append(all, variant{
			place: h.String(), spelling: plain.name, kind: h.kind, method: method,
			build: func(a asker, id string) *draft {
				return a.with(func(at hole, quoted bool) (string, bool) {
					return h.escape(id, quoted), at == h
				})
			},
		})
	}
	return append(all, variant{
		place: h.String(), spelling: "overriding headers", kind: h.kind, method: "POST",
		build: func(a asker, id string) *draft {
			d := a.with(func(at hole, quoted bool) (string, bool) {
				return h.escape(id, quoted), at == h
			})
			if d != nil {
				d.Header.Set("X-Http-Method-Override", own)
			}
			return d
		},
	})
}

// added puts an id where the route does not ask for one: a handler, or a framework
// that fills structures from all places, may read it there all the same.
func (r *Route) added(kind string) (all []variant) {
	add := func(place string, change func(d *draft, id string) bool) {
		all = append(all, variant{
			place: place + " added", spelling: plain.name, kind: kind,
			build: func(a asker, id string) *draft {
				if d := a.genuine(); d != nil && change(d, id) {
					return d
				}
				return nil
			},
		})
	}
	names := namesOf(kind)
	for _, name := range names {
		add("query "+name, func(d *draft, id string) bool { return d.addQuery(name, id) })
		add("query "+name+"[]", func(d *draft, id string) bool { return d.addQuery(name+"[]", id) })
		add("header "+headerOf(name), func(d *draft, id string) bool {
			d.Header.Add(headerOf(name), id)
			return !strings.ContainsAny(id, "\x00\r\n")
		})
	}
	add("cookie "+kind, func(d *draft, id string) bool {
		d.AddCookie(&http.Cookie{Name: kind, Value: url.QueryEscape(id)})
		return true
	})
	add("form "+kind, func(d *draft, id string) bool { return d.addForm(names, id) })
	for place, around := range map[string][2]string{
		"JSON " + kind: {"", ""}, "JSON data." + kind: {`"data":{`, "}"},
		"JSON filter[]." + kind: {`"filter":[{`, "}]"},
	} {
		add(place, func(d *draft, id string) bool {
			return d.addJSON(around[0] + members(names, quote(id)) + around[1])
		})
	}
	add("JSON array "+kind, func(d *draft, id string) bool {
		return d.addJSON(members(append(names, kind+"s"), "["+quote(id)+"]"))
	})
	add("query, header, cookie and JSON "+kind, func(d *draft, id string) bool {
		d.Header.Set(headerOf(kind), id)
		d.AddCookie(&http.Cookie{Name: kind, Value: url.QueryEscape(id)})
		d.addJSON(members(names, quote(id)))
		return d.addQuery(kind, id)
	})
	slices.SortStableFunc(all, func(a, b variant) int { return strings.Compare(a.place, b.place) })
	return all
}

// namesOf are the names by which servers take an id of a kind.
func namesOf(kind string) []string {
	base := strings.TrimSuffix(kind, "_id")
	return slices.Compact([]string{kind, base + "_id", base + "Id"})
}

func headerOf(name string) string {
	name = strings.ReplaceAll(strings.ReplaceAll(name, "Id", "-Id"), "_", "-")
	return http.CanonicalHeaderKey("X-" + name)
}

func (d *draft) addQuery(name, id string) bool {
	path, query, _ := strings.Cut(d.RequestURI, "?")
	query += "&" + url.QueryEscape(name) + "=" + url.QueryEscape(id)
	d.retarget(path + "?" + strings.TrimPrefix(query, "&"))
	return true
}

func (d *draft) addForm(names []string, id string) bool {
	form := url.Values{}
	for _, name := range names {
		form.Set(name, id)
	}
	d.body = []byte(form.Encode())
	d.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return true
}

// members are several of a JSON object, of the same value.
func members(names []string, value string) string {
	var all []string
	for _, name := range names {
		all = append(all, quote(name)+":"+value)
	}
	return strings.Join(all, ",")
}

// addJSON adds members to the object that the body is, before and after what has
// the same name.
func (d *draft) addJSON(added string) bool {
	body := bytes.TrimSpace(d.body)
	var object map[string]json.RawMessage
	switch {
	case len(body) == 0:
		d.body = []byte("{" + added + "}")
	case json.Unmarshal(body, &object) != nil:
		return false
	case len(object) == 0:
		d.body = []byte("{" + added + "}")
	default:
		inside := string(body[1 : len(body)-1])
		d.body = []byte("{" + added + "," + inside + "," + added + "}")
	}
	d.Header.Set("Content-Type", "application/json")
	return true
}
