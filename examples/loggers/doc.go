// Package loggers shows how to scrub what other loggers than log/slog write, in
// one runnable example each. zap and zerolog write one line with each call, which
// is what scrub.LineWriter is for; logr goes through slog.
package loggers
