package journal

import (
	"os"
	"path/filepath"
)

// StateDirEnv names the environment variable that overrides where state is kept.
const StateDirEnv = "FAULTLINE_STATE_DIR"

// DefaultDir says where state is kept when no flag does: FAULTLINE_STATE_DIR, else
// /var/lib/faultline for root, else faultline in XDG_STATE_HOME or ~/.local/state.
// It is empty when nothing of that is known; Open then says what to do.
func DefaultDir(getenv func(string) string) string { return defaultDir(getenv, os.Geteuid()) }

func defaultDir(getenv func(string) string, uid int) string {
	if dir := getenv(StateDirEnv); dir != "" {
		return dir
	}
	if uid == 0 {
		return "/var/lib/faultline"
	}
	// A relative XDG_STATE_HOME is invalid by the XDG specification, and ignored.
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "faultline")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "faultline")
	}
	return ""
}
