package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/scenarios"
	"github.com/faultline-go/faultline/scenarios/quickstart"
)

func newDemo(g *global) *cobra.Command {
	var once, retry, show bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the quickstart game day on a small shop that it starts itself",
		Long: `demo starts a small shop on free ports of this machine (a gateway, three web
processes, a store), kills one web process while customers check out, starts it
again, and reports. It runs twice: first with the gateway's retry switched off, where
customers lose requests, then with it on, where they do not. Nothing else on the
machine is touched.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case show:
				return showQuickstart(c.OutOrStdout())
			case once:
				result, err := g.demo(c, retry)
				if err != nil {
					return err
				}
				return exit(result.Exit(false))
			default:
				return g.demoTwice(c)
			}
		},
	}
	c.Flags().BoolVar(&once, "once", false, "run the game day a single time")
	c.Flags().BoolVar(&retry, "retry", true, "with -once: let the gateway try another web process")
	c.Flags().BoolVar(&show, "show", false, "only print the scenario")
	return c
}

// demoTwice shows the same loss with and without a remedy.
func (g *global) demoTwice(c *cobra.Command) error {
	for _, x := range []struct {
		retry bool
		want  judge.Verdict
		next  string
	}{
		{false, judge.Broken, "The same again, with the gateway's retry switched on."},
		{true, judge.Held, "The scenario: `faultline demo -show`. The reports again: `faultline history`, `faultline report`."},
	} {
		result, err := g.demo(c, x.retry)
		if err != nil {
			return err
		}
		if result.Verdict != x.want {
			err := fmt.Errorf("the demo's verdict with the gateway's retry %s should be %q, and is %q", onOff(x.retry), x.want, result.Verdict)
			return &exitError{cmp.Or(result.Exit(false), judge.ExitErrored), err}
		}
		fmt.Fprintf(c.OutOrStdout(), "\n%s\n\n", x.next)
	}
	return nil
}

func showQuickstart(w io.Writer) error {
	files := scenarios.Quickstart()
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, path)
		if err == nil {
			_, err = w.Write(raw)
		}
		return err
	})
}

// demo runs the quickstart game day once, on a shop of its own.
func (g *global) demo(c *cobra.Command, retry bool) (_ *judge.Result, err error) {
	binary, err := shopBinary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "faultline-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "quickstart")
	if err := os.CopyFS(source, scenarios.Quickstart()); err != nil {
		return nil, fmt.Errorf("write the demo's scenario: %w", err)
	}
	// The shop stops with us, whatever the signal; the run deals with the rest.
	shop, err := quickstart.Start(context.WithoutCancel(c.Context()), binary, filepath.Join(dir, "shop"), retry)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, shop.Stop()) }()
	f := &runFlags{autoApprove: true} // and no policy: the demo breaks only what it started
	for name, value := range shop.Variables() {
		f.vars = append(f.vars, name+"="+value)
	}
	fmt.Fprintf(c.OutOrStdout(), "A shop runs at %s: a gateway (retry %s), three web processes, a store.\n", shop.URL(), onOff(retry))
	r, err := g.gameDay(c, source, f)
	if err != nil {
		return nil, err
	}
	g.showResult(r, nil, style{}, g.lookBack(c.Context(), r, "").before)
	return r.Result, nil
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// shopBinary is the shop's program, which is built beside faultline.
func shopBinary() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the shop's program: %w", err)
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	path := filepath.Join(filepath.Dir(self), "shop")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the demo needs the program %s beside faultline: `make build` puts both into bin/", path)
	}
	return path, nil
}
