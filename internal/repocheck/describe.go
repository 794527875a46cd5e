package repocheck

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Describe fills in when a dependency's version was released and under which
// licence, from the module cache (or the module proxy, for what is missing).
func Describe(root, goMod string, d *Dependency) error {
	var info struct {
		Dir  string
		Time time.Time
	}
	dir := path.Join(root, path.Dir(goMod))
	if _, err := goCommand(dir, "mod", "download", d.Path+"@"+d.Version); err != nil {
		return err
	}
	out, err := goCommand(dir, "list", "-m", "-json", d.Path+"@"+d.Version)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return err
	}
	d.Released = info.Time.Format(time.DateOnly)
	if info.Dir == "" {
		// For an explicit version only download says where it is.
		out, err := goCommand(dir, "mod", "download", "-json", d.Path+"@"+d.Version)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, &info); err != nil {
			return err
		}
	}
	d.Licence, err = licence(os.DirFS(info.Dir))
	return err
}

// licence names the licence text at the root of a module by phrases that only
// that licence has; "" if there is none it knows.
func licence(module fs.FS) (string, error) {
	entries, err := fs.ReadDir(module, ".")
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		raw, err := fs.ReadFile(module, e.Name())
		if err != nil {
			return "", err
		}
		text := strings.Join(strings.Fields(string(raw)), " ")
		for _, known := range [...]struct{ phrase, name string }{
			{"Apache License", "Apache-2.0"},
			{"Mozilla Public License", "MPL-2.0"},
			{"Permission is hereby granted, free of charge", "MIT"},
			{"Permission to use, copy, modify, and/or distribute", "ISC"},
			{"Neither the name", "BSD-3-Clause"},
			{"names of its contributors may be used to endorse", "BSD-3-Clause"},
			{"Redistribution and use in source and binary forms", "BSD-2-Clause"},
		} {
			if strings.Contains(text, known.phrase) {
				return known.name, nil
			}
		}
	}
	return "", nil
}
