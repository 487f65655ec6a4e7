package sdk

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/faultline-go/faultline/sdk/wire"
)

// Log returns the logger for what a function of the plugin does: its records say of
// which type and target they are. They go to standard error, as do those of
// slog.Default, where faultline reads their level: `faultline -log-level debug` shows
// them, and an error of a plugin that ends quotes the last ones. What must not be read in
// a terminal or a CI's log does not belong into a record.
func Log(ctx context.Context) *slog.Logger {
	about, _ := ctx.Value(logKey{}).([]any)
	return slog.Default().With(about...)
}

type logKey struct{}

// logging makes Log say of which type and target it is.
func logging(ctx context.Context, typ, target string) context.Context {
	about := []any{"type", typ}
	if target != "" {
		about = append(about, "target", target)
	}
	return context.WithValue(ctx, logKey{}, about)
}

// logHandler writes records as faultline reads them: level=WARN msg="…" key=value. They
// have no time, because whoever shows them knows it.
func logHandler(f *os.File, level string) slog.Handler {
	least := slog.LevelInfo
	if level == "trace" {
		level = "debug"
	}
	if err := least.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		least = slog.LevelInfo
	}
	return slog.NewTextHandler(f, &slog.HandlerOptions{Level: least, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

func setLogger(f *os.File) {
	slog.SetDefault(slog.New(logHandler(f, os.Getenv(wire.LogVariable))))
}
