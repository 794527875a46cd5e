package settings

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// parseFlags reads flags named like the settings; -listen-addr, --listen_addr
// and -LISTEN_ADDR are one flag.
func parseFlags(args []string, printDemo *bool) (map[string]string, error) {
	set := flag.NewFlagSet("ingest", flag.ContinueOnError)
	set.SetOutput(os.Stderr)
	set.Usage = func() {
		_, _ = fmt.Fprintln(set.Output(),
			"Settings (environment variables; a flag of the same name wins):")
		for _, row := range table {
			_, _ = fmt.Fprintf(set.Output(), "  %-28s %s (default %q)\n", row.name, row.usage, row.fallback)
		}
		_, _ = fmt.Fprintln(set.Output(), "-print-demo prints the demo's credentials, with a new password.")
	}
	set.BoolVar(printDemo, "print-demo", false, "print the demo's credentials, with a new password")
	given := map[string]string{}
	for _, row := range table {
		set.Func(flagName(row.name), row.usage, func(value string) error {
			given[row.name] = value
			return nil
		})
	}
	if err := set.Parse(canonical(args)); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, &Problem{"arguments", "want only flags"}
	}
	return given, nil
}

func flagName(setting string) string {
	return strings.ReplaceAll(strings.ToLower(setting), "_", "-")
}

// canonical rewrites the names of flags, and nothing of their values.
func canonical(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		name, value, hasValue := strings.Cut(arg, "=")
		if strings.HasPrefix(name, "-") {
			name = flagName(name)
		}
		out[i] = name
		if hasValue {
			out[i] += "=" + value
		}
	}
	return out
}
