// Package host runs plugins: it finds their binaries, asks them what they offer,
// starts them, and ends them so that nothing is left.
//
// A plugin is a process of its own that lives as long as its engine. Three things
// see to that: it reads a standard input that only the engine holds open, the kernel
// sends it SIGTERM when the engine dies, and its process group is killed when Close
// has waited long enough. What runs is what was hashed: a binary is opened once, its
// checksum is taken from that descriptor, and the same descriptor is executed, or a
// sealed copy of it where others may write to the file.
//
// The files, in the order of a plugin's life:
//
//	find      which file a name means
//	binary    that file, open: hashed, and copied for recovery; sealed against others
//	trusted   whether it may start, which engine/trust decides
//	describe  what it offers, from the cache or by asking; check: does that make sense
//	start     process, handshake, first calls; failure: why one of them went wrong
//	process   the program that runs, with the environment that it inherits
//	door      what it says, cleaned and bounded on its way in; gone: why it says no more
//	plugin    the one that runs, and its end
//	attach    one that runs already, in a debugger perhaps; serve: its other side
//	log       what it logs, and each call to it
package host

import (
	"cmp"
	"log/slog"
	"os"
	"time"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Options say where plugins are and how they are run. The zero value finds none.
type Options struct {
	PluginDirs []string // as given with -plugin-dir; looked at first, in this order
	// Installed are the paths of binaries, by the plugin's name, that were installed for
	// the scenario or take the place of one: looked at next. One that is not there is an
	// error, and no reason to take another.
	Installed map[string]string
	SelfDir   string   // of the running faultline binary
	DataDirs  []string // where a user puts plugins
	CacheDir  string   // for descriptions and checksums; empty: none are kept
	StateDir  string   // for the copies of the binaries that runs use; empty: none are made

	// Trust says on what ground a binary may start, or why it may not. It is asked before
	// anything of the binary is executed or copied, with the checksum of the very
	// descriptor that will be; and before a description is taken from the cache, so that
	// having been described once vouches for nothing. Of a plugin of Reattach it is asked
	// before anything is said to it, and there is only the name. It may be called by several
	// goroutines, and for one binary often. nil: whatever is found may start.
	Trust func(trust.Binary) (trust.Basis, error)

	// Stderr takes what plugins print, line by line, printable and cut at 4 KiB. It is
	// called by several goroutines, for one plugin by one at a time, and must return
	// soon. Optional.
	Stderr func(plugin, line string)
	// Log takes what plugins log, with their levels, and at LevelTrace every call to one.
	// Optional.
	Log *slog.Logger
	// Reattach names plugins that run already, in a debugger perhaps: they are not looked
	// for and not started.
	Reattach map[string]wire.Reattach
	// StartTimeout is for a start until the plugin answers, and again until it is
	// configured. 0: 10 s.
	StartTimeout time.Duration
	// CloseTimeout is for the orderly end of a plugin where Close is given no deadline.
	// 0: 10 s.
	CloseTimeout time.Duration
	// Environ is the environment of which plugins get theirs; nil: os.Environ.
	Environ func() []string
	// Inherit names variables that every plugin inherits, beside the usual ones: for tests.
	Inherit []string
}

// Host runs plugins. Its methods may be called by several goroutines.
type Host struct {
	opts      Options
	protocols protocols
}

// New makes a Host; it does nothing yet.
func New(o Options) *Host {
	const patience = 10 * time.Second
	o.StartTimeout = cmp.Or(o.StartTimeout, patience)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, patience)
	if o.Environ == nil {
		o.Environ = os.Environ
	}
	if o.Stderr == nil {
		o.Stderr = func(string, string) {}
	}
	return &Host{opts: o, protocols: protocols{wire.OldestProtocol, wire.Protocol}}
}
