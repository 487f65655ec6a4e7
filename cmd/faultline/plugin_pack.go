package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/install/publish"
)

func newPluginPack(g *global) *cobra.Command {
	var source, version, out, key, license string
	c := &cobra.Command{
		Use:   "pack [PLATFORM=]BINARY ...",
		Short: "Pack a plugin's binaries into a folder that others install from",
		Long: `pack writes a release of a plugin into a folder that faultline init installs from: a
folder on a disk, on a USB stick, or of any web server. The binary of each platform goes
into an archive of its own; which platform it is for is read from it, unless PLATFORM=
says so. Without BINARY it is bin/faultline-plugin-NAME, for this platform.

The version is the one that the plugin says of itself, if a binary runs here. A version
that is in the folder already stays as it is.

-key signs the release with ssh-keygen: the file is a private key, or the public key of
one that the agent has. Users name that key in their configuration.`,
		Example: `  faultline plugin pack -source plugins.example.com/acme/lamp -out mirror -key ~/.ssh/id_ed25519 \
      dist/linux_amd64/faultline-plugin-lamp dist/linux_arm64/faultline-plugin-lamp`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if source == "" || out == "" {
				return fmt.Errorf("-source and -out must be given: whose plugin it is, and the folder to write into (see `%s -help`)", c.CommandPath())
			}
			a, err := address.Parse(source)
			if err != nil {
				return fmt.Errorf("-source: %w", err)
			}
			r := publish.Release{Source: a, Version: version, License: license}
			if len(args) == 0 {
				args = []string{filepath.Join("bin", install.BinaryName(a.Name))}
			}
			if r.Binaries, err = binaries(args); err != nil {
				return err
			}
			if err := askItself(c.Context(), &r); err != nil {
				return err
			}
			var sign publish.Signer
			if key != "" {
				sign = publish.Keygen(key, g.process.stdin, g.process.stderr)
			}
			p, err := r.Publish(c.Context(), out, sign)
			if err != nil {
				return err
			}
			return showPublished(c, r, p)
		},
	}
	f := c.Flags()
	f.StringVar(&source, "source", "", "the plugin's address: [HOST/]NAMESPACE/NAME")
	f.StringVar(&version, "version", "", "its version (default: what the plugin says)")
	f.StringVar(&out, "out", "", "the folder to write into; what it has stays")
	f.StringVar(&key, "key", "", "SSH key to sign with: a private one, or the public one of a key in the agent")
	f.StringVar(&license, "license", "", "a file to add to each archive as LICENSE")
	return c
}

// binaries reads the arguments.
func binaries(args []string) (out []publish.Binary, err error) {
	for _, arg := range args {
		b := publish.Binary{Path: arg}
		before, path, named := strings.Cut(arg, "=")
		if p, err := install.ParsePlatform(before); named && err == nil {
			b = publish.Binary{Platform: p, Path: path}
		} else if b.Platform, err = publish.Platform(arg); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// askItself runs the binary that runs here: is it the plugin, and which version? And which
// protocols does it speak? Nothing
// has to vouch for it: whoever packs it has named it, and is about to vouch for it.
func askItself(ctx context.Context, r *publish.Release) error {
	for i := range r.Binaries {
		b := &r.Binaries[i]
		if b.Platform != install.ThisPlatform() {
			continue
		}
		h := host.New(host.Options{})
		d, err := h.DescribeFile(ctx, r.Source.Name, b.Path)
		var other *host.NameError
		if errors.As(err, &other) {
			return fmt.Errorf("%s says that it is the plugin %q, and -source is about %q", b.Path, other.Says, other.Want)
		}
		if err != nil {
			return err
		}
		if says := d.Description.Version; r.Version != "" && r.Version != says {
			return fmt.Errorf("%s says that it has version %s, and -version is %s", b.Path, says, r.Version)
		}
		r.Version, b.SHA256 = d.Description.Version, d.SHA256
		r.Protocols, err = h.Protocols(ctx, r.Source.Name, b.Path)
		return err
	}
	if r.Version == "" {
		return fmt.Errorf("no binary is for this platform (%s), so that none can say which version it is: name it with -version", install.ThisPlatform())
	}
	return nil
}

func showPublished(c *cobra.Command, r publish.Release, p publish.Published) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	if p.Already {
		fmt.Fprintf(w, "%s %s is in %s already, the same.\n", r.Source, r.Version, p.Dir)
	} else {
		fmt.Fprintf(w, "Packed %s %s into %s:\n", r.Source, r.Version, p.Dir)
	}
	for _, a := range p.Archives {
		fmt.Fprintf(w, "  %s\t%s\t%.1f MB\n", a.Platform, a.File, float64(a.Size)/1e6)
	}
	prefix := strings.TrimSuffix(r.Source.String(), "/"+r.Source.Name)
	if p.Signer != nil {
		fmt.Fprintf(w, "Signed by %s. Users name the key in their configuration:\n\n  source %q {\n    url  = \"https://…\" # or mirror = a folder\n    keys = [%q]\n  }\n", p.Signer.ID(), prefix, p.Signer)
	} else if !p.Signed {
		fmt.Fprintf(w, "It is not signed: only users who write allow_unsigned = true will install it. -key signs it.\n")
	}
	return w.Flush()
}
