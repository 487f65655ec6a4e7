package host

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/faultline-go/faultline/sdk/wire"
)

// LevelTrace is below slog's levels: every call to a plugin is a record of it.
const LevelTrace = slog.LevelDebug - 4

// record passes a line that a plugin has printed on to the log: with the level, message
// and attributes that it has when it is a log record (level=WARN msg="…" key=value, in
// this order), else as it is, for debugging.
func (h *Host) record(plugin, line string) {
	level, msg, rest := parseRecord(line)
	if h.opts.Log == nil || !h.opts.Log.Enabled(context.Background(), level) {
		return
	}
	h.opts.Log.LogAttrs(context.Background(), level, msg, append([]slog.Attr{slog.String("plugin", plugin)}, rest...)...)
}

func parseRecord(line string) (slog.Level, string, []slog.Attr) {
	var level slog.Level
	fields := logfmt(line)
	if len(fields) < 2 || fields[0].Key != "level" || fields[1].Key != "msg" ||
		level.UnmarshalText([]byte(strings.ToUpper(fields[0].Value.String()))) != nil {
		return slog.LevelDebug, line, nil
	}
	return level, fields[1].Value.String(), fields[2:]
}

// logfmt reads key=value pairs; nil when the line is something else.
func logfmt(line string) []slog.Attr {
	var out []slog.Attr
	for line != "" {
		key, rest, ok := strings.Cut(line, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \"") {
			return nil
		}
		var value string
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted)
			rest = strings.TrimPrefix(rest[len(quoted):], " ")
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		out = append(out, slog.String(key, value))
		line = rest
	}
	return out
}

// traces is what watches the calls to a plugin; nil when nobody wants to know.
func (h *Host) traces(plugin string) func(wire.Call) {
	if h.opts.Log == nil || !h.opts.Log.Enabled(context.Background(), LevelTrace) {
		return nil
	}
	return func(c wire.Call) {
		a := []slog.Attr{slog.String("plugin", plugin), slog.String("call", c.Method)}
		if c.Type != "" {
			a = append(a, slog.String("type", c.Type))
		}
		if c.Fault != "" {
			a = append(a, slog.String("fault", c.Fault))
		}
		if c.Targets > 0 {
			a = append(a, slog.Int("targets", c.Targets))
		}
		msg := "call begins"
		if !c.Begins {
			msg = "call"
			a = append(a, slog.Duration("took", c.Took.Round(time.Microsecond)), slog.Int("answers", c.Answers), slog.Int("received", c.Received))
		}
		a = append(a, slog.Int("sent", c.Sent))
		switch {
		case errors.Is(c.Err, context.Canceled): // as it ends probes and sessions; no failure of the plugin
			a = append(a, slog.String("ended", "by faultline"))
		case c.Err != nil:
			a = append(a, slog.String("error", c.Err.Error()))
		}
		h.opts.Log.LogAttrs(context.Background(), LevelTrace, msg, a...)
	}
}

// logVariable tells a plugin what nobody would read.
func (h *Host) logVariable() []string {
	if h.opts.Log != nil && h.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
		return []string{wire.LogVariable + "=debug"}
	}
	return nil // information, of which an error quotes the last words
}
