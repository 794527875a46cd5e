package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates/*.html static/*
var files embed.FS

// policy allows this server's own files and forms, and nothing that is written into a
// page: what somebody else's text might become there does not run. Script gets no
// text into the page but as text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// templates are the pages by name, each within the layout.
type templates map[string]*template.Template

func parseTemplates(a assets) (templates, error) {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"asset": a.url, "time": readable, "stamp": stamp, "acts": actsOn,
	}).ParseFS(files, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := templates{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" {
			continue
		}
		page, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if all[name], err = page.ParseFS(files, file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readable is a time for people, and stamp the same for programs.
func readable(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// view is what a template gets.
type view struct {
	Page    string // the template
	Title   string
	Me      *me // who is signed in, if anybody
	Problem problem
	Data    any // the page's own
}

// Navigation is the head of the page, for whoever is signed in.
func (v view) Navigation() []link {
	if v.Me == nil || v.Me.Due == "second_factor" {
		return nil
	}
	return navigation
}

// render writes a page.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	var text bytes.Buffer
	if err := p.templates[v.Page].ExecuteTemplate(&text, "layout.html", struct {
		view
		Here string
	}{v, r.URL.Path}); err != nil {
		panic(err) // a mistake in a template; the outermost gate answers
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self)")
	// Not no-referrer: with that, browsers send forms without saying where from.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the client may be gone
}

// assets are the files that pages load, by name.
type assets map[string]asset

type asset struct {
	text    []byte
	media   string
	version string
}

// media are the types of files. Those that the machine has on its own list may differ,
// and browsers run no script of another type.
var media = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func loadAssets() (assets, error) {
	names, err := fs.Glob(files, "static/*")
	if err != nil {
		return nil, err
	}
	all := assets{}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all[path.Base(name)] = asset{
			text: text, media: media[path.Ext(name)],
			version: base64.RawURLEncoding.EncodeToString(sum[:9]),
		}
	}
	return all, nil
}

// url is where a file is, with its version: another one has another URL.
func (a assets) url(name string) string { return "/assets/" + name + "?v=" + a[name].version }

func (a assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.media)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == file.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(file.text)
}
