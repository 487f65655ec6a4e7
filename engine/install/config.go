package install

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/install/sshsig"
	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// Config is the CLI configuration: what the user trusts. The zero value trusts nobody.
type Config struct {
	Path string // of the file; it need not be there

	// DevOverrides are folders, absolute, by the plugin's name: its binary there is used
	// in place of the installed one, unchecked.
	DevOverrides map[string]string
	Sources      []SourceConfig // in order of the file
}

// SourceConfig says where the plugins of some addresses are fetched, and whose
// signatures count for them.
type SourceConfig struct {
	Prefix address.Prefix
	Mirror string       // a folder, absolute; or
	URL    *url.URL     // of a web server, with https
	Keys   []sshsig.Key // empty only with AllowUnsigned
	// AllowUnsigned takes whatever the mirror has, on the mirror's word.
	AllowUnsigned bool
	Pos           string // "file:line"
}

// Place is where the source is, for people.
func (s *SourceConfig) Place() string {
	if s.URL != nil {
		return withoutUser(s.URL).String()
	}
	return s.Mirror
}

// place is what to call the configuration where it may not be there.
func (c *Config) place() string {
	if c.Path == "" {
		return "the configuration ($" + configVariable + ")"
	}
	return c.Path
}

// Source finds what the configuration says about an address: the block with the
// longest prefix. It is nil when there is none.
func (c *Config) Source(a address.Address) *SourceConfig {
	var best *SourceConfig
	for i := range c.Sources {
		s := &c.Sources[i]
		if s.Prefix.Matches(a) && (best == nil || len(s.Prefix.String()) > len(best.Prefix.String())) {
			best = s
		}
	}
	return best
}

// configVariable names the configuration of somebody who wants another than the usual one.
const configVariable = "FAULTLINE_CLI_CONFIG"

// ConfigPath is where the configuration of this user is: $FAULTLINE_CLI_CONFIG, else
// faultline/config.hcl in $XDG_CONFIG_HOME or ~/.config. Empty: nowhere.
func ConfigPath(getenv func(string) string) string {
	if p := getenv(configVariable); p != "" {
		return p
	}
	// What is relative would be in the folder of whoever wrote the scenario.
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "faultline", "config.hcl")
}

// ReadConfig reads the configuration at ConfigPath. One that is not there says nothing,
// unless somebody has named it. One that others may change is refused: it says whom to
// trust.
func ReadConfig(getenv func(string) string) (*Config, error) {
	path, named := ConfigPath(getenv), getenv(configVariable) != ""
	if path == "" || path == os.DevNull { // the usual way to have none
		return &Config{Path: path}, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	f, err := os.Open(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist) && named:
		return nil, fmt.Errorf("the configuration %s, which $%s names, is not there; unset the variable for the usual one, or set it to %s for none", abs, configVariable, os.DevNull)
	case errors.Is(err, fs.ErrNotExist):
		return &Config{Path: abs}, nil
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	if err := ownAlone(f); err != nil {
		return nil, fmt.Errorf("the configuration says whom you trust, and %w", err)
	}
	text, err := readDocument(f)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return ParseConfig(abs, text)
}

// ownAlone says why a file that is open could be changed by somebody else than this user
// and root.
func ownAlone(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	owner, me := info.Sys().(*syscall.Stat_t).Uid, os.Getuid()
	switch {
	case owner != 0 && int(owner) != me:
		return fmt.Errorf("%s belongs to user %d: it has to be yours, or root's; run: chown %d %s", f.Name(), owner, me, f.Name())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be changed by others than its owner (mode %04o); run: chmod go-w %s", f.Name(), info.Mode().Perm(), f.Name())
	}
	return nil
}

const (
	likeKey  = `["ssh-ed25519 AAAA… me"]`
	likePath = `"/media/usb"`
	likeURL  = `"https://mirror.example.com/faultline/"`
)

// ParseConfig reads the text of a configuration. Relative folders in it begin at the
// file's own. The error has a line, with its place, for everything that is wrong.
func ParseConfig(path string, text []byte) (*Config, error) {
	d := &document{path: path}
	body := d.parse(text)
	if body == nil {
		return nil, d.err()
	}
	c := &Config{Path: path}
	d.only(body, "the configuration", nil, []string{"dev_overrides", "source"})
	var overrides *hclsyntax.Block
	first := map[address.Prefix]string{}
	for _, b := range body.Blocks {
		switch b.Type {
		case "dev_overrides":
			if overrides != nil {
				d.error(b.DefRange(), "Second block", "There is a dev_overrides block already, at line %d.", overrides.DefRange().Start.Line)
				continue
			}
			overrides = b
			c.DevOverrides = d.overrides(b)
		case "source":
			s, ok := d.source(b)
			if !ok {
				continue
			}
			if at := first[s.Prefix]; at != "" {
				d.error(b.LabelRanges[0], "Second block", "Another block is about %s already, at %s.", s.Prefix, at)
				continue
			}
			first[s.Prefix] = s.Pos
			c.Sources = append(c.Sources, s)
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

var pluginName = lazyregexp.New(`^[a-z0-9]{1,64}$`)

func (d *document) overrides(b *hclsyntax.Block) map[string]string {
	if len(b.Labels) > 0 {
		d.error(b.LabelRanges[0], "Label", `The block has no label: dev_overrides { lamp = "/home/me/lamp/bin" }.`)
	}
	for _, inner := range b.Body.Blocks {
		d.error(inner.TypeRange, "Unknown block", "A dev_overrides block has the names of plugins, each with a folder.")
	}
	out := map[string]string{}
	for _, a := range inOrder(b.Body.Attributes) {
		if !pluginName().MatchString(a.Name) {
			d.error(a.NameRange, "Invalid plugin name", "A plugin's name has lower-case letters and digits only; it is the text before the first _ of its types.")
		}
		if dir, ok := d.folder(a); ok {
			out[a.Name] = dir
		}
	}
	return out
}

func (d *document) folder(a *hclsyntax.Attribute) (string, bool) {
	dir, ok := d.text(a, likePath)
	if !ok {
		return "", false
	}
	if dir == "" || dir[0] == '~' {
		d.error(a.Expr.Range(), "Not a folder", "Write the path in full: %s.", likePath)
		return "", false
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(d.path), dir)
	}
	return filepath.Clean(dir), true
}

func (d *document) source(b *hclsyntax.Block) (s SourceConfig, ok bool) {
	before := len(d.diags)
	if len(b.Labels) != 1 {
		d.error(b.DefRange(), "Wrong number of labels", `The block is written: source "plugins.example.com/acme" { … }.`)
		return s, false
	}
	s.Pos = fmt.Sprintf("%s:%d", d.path, b.DefRange().Start.Line)
	var err error
	if s.Prefix, err = address.ParsePrefix(b.Labels[0]); err != nil {
		d.error(b.LabelRanges[0], "Invalid source", "%s.", sentence(err))
	}
	d.only(b.Body, "a source block", []string{"mirror", "url", "keys", "allow_unsigned"}, nil)
	attrs := b.Body.Attributes
	switch mirror, web := attrs["mirror"], attrs["url"]; {
	case mirror == nil && web == nil:
		d.error(b.DefRange(), "Missing argument", "Say where the plugins are: mirror = %s, or url = %s.", likePath, likeURL)
	case mirror != nil && web != nil:
		d.error(web.NameRange, "Two places", "A source has a mirror or a url. Remove one of the two.")
	case mirror != nil:
		s.Mirror, _ = d.folder(mirror)
	default:
		s.URL = d.url(web)
	}
	if a := attrs["allow_unsigned"]; a != nil {
		if v, ok := d.value(a, cty.Bool, "true"); ok {
			s.AllowUnsigned = v.True()
		}
	}
	s.Keys = d.keys(attrs["keys"])
	switch {
	case len(s.Keys) > 0 && s.AllowUnsigned:
		// Whoever can change the mirror could take the signature away.
		d.error(attrs["allow_unsigned"].NameRange, "Keys and unsigned", "With allow_unsigned the keys would protect from nothing. Remove one of the two.")
	case len(s.Keys) == 0 && !s.AllowUnsigned && len(d.diags) == before:
		d.error(b.DefRange(), "Missing argument", "Say whose signatures count: keys = %s. Who trusts whatever the mirror has writes allow_unsigned = true.", likeKey)
	}
	return s, len(d.diags) == before
}

func (d *document) url(a *hclsyntax.Attribute) *url.URL {
	text, ok := d.text(a, likeURL)
	if !ok {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		d.error(a.Expr.Range(), "Invalid URL", "Write it like this: %s.", likeURL)
		return nil
	case u.Scheme != "https":
		d.error(a.Expr.Range(), "Not HTTPS", "Plugins are fetched with https only, so that nobody on the way can hold back a version.")
		return nil
	}
	return u.JoinPath("/")
}

func (d *document) keys(a *hclsyntax.Attribute) []sshsig.Key {
	var out []sshsig.Key
	seen := map[string]hcl.Range{}
	for _, p := range d.texts(a, likeKey) {
		k, err := sshsig.ParseKey(p.text)
		if err != nil {
			d.error(p.at, "Invalid key", "%s. A key is a line of a file such as ~/.ssh/id_ed25519.pub.", sentence(err))
			continue
		}
		if _, twice := seen[k.ID()]; twice {
			d.error(p.at, "Key twice", "The key %s stands here twice. Remove one.", k.ID())
			continue
		}
		seen[k.ID()] = p.at
		out = append(out, k)
	}
	return out
}
