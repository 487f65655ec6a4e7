package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/trust"
)

// Exit codes beside those of a run's verdict, which package judge has.
const (
	exitUsage   = 2 // usage, file, configuration, missing plugin or engine, empty target
	exitRefused = 7 // nothing was touched: halt, unfinished run, residue, window, policy, plan drift, a plugin that nothing vouches for
)

// exitError ends the program with a code; any other error with what codeOf
// says. A message that is empty was shown already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

func refused(err error) error { return &exitError{exitRefused, err} }

// codeOf is the code of an error that brings none: what nothing vouches for, or somebody has
// forbidden, is refused, and everything else is a mistake.
func codeOf(err error) int {
	var unknown *trust.Refusal
	var forbidden *trust.Forbidden
	var untrusted *install.UntrustedError
	if errors.As(err, &unknown) || errors.As(err, &forbidden) || errors.As(err, &untrusted) {
		return exitRefused
	}
	return exitUsage
}

// exit ends with a code alone.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// command runs one command and returns the exit code.
func command(ctx context.Context, p *process) int {
	root := newRoot(p)
	root.SetArgs(doubleDashes(p.args))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{codeOf(err), err}
	}
	if msg := e.Error(); msg != "" {
		// It may quote a server, a file or a certificate.
		fmt.Fprintln(p.stderr, "Error: "+output.Printable(msg, true))
	}
	return e.code
}

// global are the flags that every command has.
type global struct {
	process    *process
	stateDir   string
	pluginDirs []string
	noColor    bool
	logLevel   string
	logFile    string
	log        logWriter
	insecure   bool
	allowed    trust.Policy // of the environment, once a scenario is loaded under one

	warnings *warnings // each said once, by all hosts of a command
}

func newRoot(p *process) *cobra.Command {
	g := &global{process: p, warnings: newWarnings(p.stderr)}
	root := &cobra.Command{
		Use:   "faultline",
		Short: "Run game days: break things on purpose, and always put them back",
		Long: `faultline loads a game day from HCL files, breaks real things through plugins,
checks the steady state before, during and after, puts everything back, and says
what was learnt, with sample sizes.

Exit codes: 0 held, 1 broken, 2 wrong usage or configuration, 3 inconclusive, not
exercised or not started, 4 aborted, 5 something could not be put back, 6 the tool
or a plugin failed, 7 refused, nothing was touched.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		var wrong *pflag.InvalidValueError
		if errors.As(err, &wrong) { // its own words are Go's
			err = fmt.Errorf("-%s %q: write a value of type %s", wrong.GetFlag().Name, wrong.GetValue(), wrong.GetFlag().Value.Type())
		}
		return fmt.Errorf("%w (see `%s -help`)", err, c.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&g.stateDir, "state-dir", "", "folder of runs, locks and caches (default $FAULTLINE_STATE_DIR, /var/lib/faultline for root, or $XDG_STATE_HOME/faultline)")
	f.StringArrayVar(&g.pluginDirs, "plugin-dir", nil, "folder to look for plugins in first; may be repeated")
	f.BoolVar(&g.insecure, "insecure", false, "start also plugins that nothing vouches for; every report says so")
	f.BoolVar(&g.noColor, "no-color", false, "write without colour, as with $NO_COLOR")
	f.StringVar(&g.logLevel, "log-level", "", "what plugins log, on standard error: off, error, warn, info, debug, or trace for every call to them, too (default $FAULTLINE_LOG, or off)")
	f.StringVar(&g.logFile, "log-file", "", "write the log to this file; without -log-level: debug")
	root.AddCommand(
		newNew(g), newCatalog(g), newInit(g), newValidate(g), newFmt(g), newPlan(g), newCheck(g),
		newRun(g), newAnswer(g), newNote(g), newMark(g), newHalt(g),
		newReport(g), newHistory(g), newCompare(g), newCoverage(g), newSchema(g),
		newRecover(g), newScan(g), newSelftest(g), newSelftestTarget(),
		newPlugin(g), newDocs(g), newDemo(g), newVersion(),
	)
	return root
}

// color says whether to write colour to standard output.
func (g *global) color() bool {
	return g.process.stdoutTTY && g.colorful()
}

// errorColor says whether to write colour to standard error.
func (g *global) errorColor() bool {
	return g.process.stderrTTY && g.colorful()
}

func (g *global) colorful() bool {
	return !g.noColor && g.process.getenv("NO_COLOR") == "" && g.process.getenv("TERM") != "dumb"
}

var oneDash = regexp.MustCompile(`^-[a-z][a-z0-9-]+(=.*)?$`)

// doubleDashes lets flags be written with one dash or two, as Go's and HashiCorp's
// tools do: no flag of ours has a one-letter form but -h.
func doubleDashes(args []string) []string {
	out := make([]string, 0, len(args))
	for i, a := range args {
		if a == "--" {
			return append(out, args[i:]...)
		}
		if oneDash.MatchString(a) {
			a = "-" + a
		}
		out = append(out, a)
	}
	return out
}

// arguments checks how many arguments a command is given.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		problem := ""
		switch {
		case len(args) < least:
			problem = "an argument is missing"
		case len(args) > most:
			problem = fmt.Sprintf("%q is one argument too many", args[most])
		default:
			return nil
		}
		return fmt.Errorf("%s: %s (see `%s -help`)", problem, strings.TrimSuffix(c.UseLine(), " [flags]"), c.CommandPath())
	}
}

// formats checks a -format flag.
func formats(format string, known ...string) error {
	if slices.Contains(known, format) {
		return nil
	}
	return fmt.Errorf("unknown format %q: use %s", format, strings.Join(known, " or "))
}
