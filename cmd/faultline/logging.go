package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

var logLevels = []string{"off", "error", "warn", "info", "debug", "trace"}

// openLog makes the log of what -log-level asks for; nil when that is nothing. It writes
// to -log-file, else to standard error, or above the picture of a run that is on.
func (g *global) openLog() (*slog.Logger, error) {
	level := g.logLevel
	from := "-log-level"
	if level == "" {
		level, from = g.process.getenv(wire.LogVariable), "$"+wire.LogVariable
	}
	level = strings.ToLower(level)
	if level == "" && g.logFile != "" {
		level = "debug"
	}
	if level == "" || level == "off" {
		return nil, nil
	}
	if !slices.Contains(logLevels, level) {
		return nil, fmt.Errorf("%s %q: use %s", from, level, strings.Join(logLevels, ", "))
	}
	least := host.LevelTrace
	if level != "trace" {
		if err := least.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
			return nil, fmt.Errorf("%s %q: %w", from, level, err)
		}
	}
	if g.log.out == nil {
		g.log.out = g.process.stderr
		if g.logFile != "" {
			f, err := os.OpenFile(g.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				return nil, fmt.Errorf("open the log: %w", err)
			}
			g.log.out = f // the end of the process closes it
		}
	}
	return slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: least, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case len(groups) > 0:
		case a.Key == slog.TimeKey && g.logFile == "":
			return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
		case a.Key == slog.LevelKey && a.Value.Any() == host.LevelTrace:
			return slog.String(slog.LevelKey, "TRACE")
		}
		return a
	}})), nil
}

// logWriter is where the log goes now.
type logWriter struct {
	mu     sync.Mutex
	out    io.Writer
	above  func(line string) // the picture of a run
	hidden []string
}

func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(p)
	for _, v := range w.hidden {
		text = strings.ReplaceAll(text, v, journal.Redacted)
	}
	if w.above != nil {
		w.above(strings.TrimRight(text, "\n"))
		return len(p), nil
	}
	if _, err := io.WriteString(w.out, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hide keeps values out of the log, also where it quotes what quotes them.
func (w *logWriter) hide(values []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range values {
		for range 3 {
			if journal.CanHide(v) && !slices.Contains(w.hidden, v) {
				w.hidden = append(w.hidden, v)
			}
			quoted := strconv.Quote(v)
			v = quoted[1 : len(quoted)-1]
		}
	}
}

// through makes the log go through say, or no longer when that is nil.
func (w *logWriter) through(say func(line string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.above = say
}

// logAbove sends the log through say while a picture is on the terminal to which the log
// would go: it would tear the picture. The returned function ends that.
func (g *global) logAbove(say func(format string, args ...any)) (end func()) {
	if g.logFile != "" || !g.process.stderrTTY || !g.process.stdoutTTY {
		return func() {}
	}
	g.log.through(func(line string) { say("%s", line) })
	return func() { g.log.through(nil) }
}
