package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/engine/durable"
	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// LockName is the name of the lock file, which stands beside the scenario.
const LockName = ".faultline.lock.hcl"

const lockFormat = 1

// Lock is what was installed for a scenario, or may be. The zero value locks nothing.
type Lock struct {
	Path    string
	Plugins []Locked // sorted by name
}

// Locked is one plugin of a lock file.
type Locked struct {
	Name       string
	Source     address.Address
	Version    string
	Constraint string // that the scenario had; empty: any
	Protocol   int
	Key        string // "SHA256:…" of the key that signed the release; empty: nobody did
	// Sums has the SHA-256 of the unpacked binary, in hexadecimal, for each platform
	// that is known.
	Sums map[Platform]string
}

// LockPath is where the lock file of a scenario is, which is a folder or a file.
func LockPath(scenario string) string {
	if info, err := os.Stat(scenario); err == nil && !info.IsDir() {
		scenario = filepath.Dir(scenario)
	}
	return filepath.Join(scenario, LockName)
}

// ReadLock reads a lock file; one that is not there locks nothing.
func ReadLock(path string) (*Lock, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{Path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lock file: %w", err)
	}
	defer f.Close()
	text, err := readDocument(f)
	if err != nil {
		return nil, fmt.Errorf("read the lock file: %w", err)
	}
	return ParseLock(path, text)
}

// Plugin returns what is locked under a plugin's name, or nil.
func (l *Lock) Plugin(name string) *Locked {
	i, found := l.find(name)
	if !found {
		return nil
	}
	return &l.Plugins[i]
}

// Sums lists the SHA-256 of every binary that is locked under a plugin's name, in
// hexadecimal.
func (l *Lock) Sums(name string) []string {
	p := l.Plugin(name)
	if p == nil {
		return nil
	}
	return slices.Sorted(maps.Values(p.Sums))
}

func (l *Lock) find(name string) (int, bool) {
	return slices.BinarySearchFunc(l.Plugins, name, func(p Locked, name string) int { return strings.Compare(p.Name, name) })
}

// Set enters a plugin. What is known of other platforms stays while source and version
// do; a checksum that contradicts it is an error.
func (l *Lock) Set(p Locked) error {
	i, found := l.find(p.Name)
	sums := maps.Clone(p.Sums)
	if sums == nil {
		sums = map[Platform]string{}
	}
	p.Sums = sums
	if !found {
		l.Plugins = slices.Insert(l.Plugins, i, p)
		return nil
	}
	old := l.Plugins[i]
	if old.Source == p.Source && old.Version == p.Version {
		for platform, sum := range old.Sums {
			if now, ok := p.Sums[platform]; ok && now != sum {
				return changed(p, platform, sum, now)
			}
			p.Sums[platform] = sum
		}
	}
	l.Plugins[i] = p
	return nil
}

// Keep removes every plugin whose name is not in the list.
func (l *Lock) Keep(names []string) {
	l.Plugins = slices.DeleteFunc(l.Plugins, func(p Locked) bool { return !slices.Contains(names, p.Name) })
}

// Write writes the lock file, whole or not at all, and says whether it had to.
func (l *Lock) Write() (bool, error) {
	text := l.Text()
	if old, err := os.ReadFile(l.Path); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	if err := durable.WriteFile(l.Path, text, 0o644); err != nil {
		return false, fmt.Errorf("write the lock file: %w", err)
	}
	return true, nil
}

const lockHeader = "# This file is maintained by `faultline init`, and belongs under version control:\n" +
	"# a run starts no binary of these plugins that has another SHA-256.\n\n"

// Text is the lock file: the same plugins give the same text.
func (l *Lock) Text() []byte {
	f := hclwrite.NewEmptyFile()
	body := f.Body()
	body.SetAttributeValue("format", cty.NumberIntVal(lockFormat))
	for _, p := range l.Plugins {
		body.AppendNewline()
		b := body.AppendNewBlock("plugin", []string{p.Name}).Body()
		b.SetAttributeValue("source", cty.StringVal(p.Source.String()))
		b.SetAttributeValue("version", cty.StringVal(p.Version))
		if p.Constraint != "" {
			b.SetAttributeValue("constraint", cty.StringVal(p.Constraint))
		}
		b.SetAttributeValue("protocol", cty.NumberIntVal(int64(p.Protocol)))
		if p.Key != "" {
			b.SetAttributeValue("key", cty.StringVal(p.Key))
		}
		sums := map[string]cty.Value{}
		for platform, sum := range p.Sums {
			sums[platform.String()] = cty.StringVal(sum)
		}
		b.SetAttributeValue("sha256", cty.ObjectVal(sums))
	}
	return append([]byte(lockHeader), hclwrite.Format(f.Bytes())...)
}

var (
	hexSum = lazyregexp.New(`^[0-9a-f]{64}$`)
	keyID  = lazyregexp.New(`^SHA256:[A-Za-z0-9+/]{43}$`)
)

// ParseLock reads the text of a lock file. The error has a line, with its place, for
// everything that is wrong.
func ParseLock(path string, text []byte) (*Lock, error) {
	d := &document{path: path}
	body := d.parse(text)
	if body == nil {
		return nil, d.err()
	}
	l := &Lock{Path: path}
	if !d.format(body) {
		return nil, d.err()
	}
	d.only(body, "a lock file", []string{"format"}, []string{"plugin"})
	first := map[string]hcl.Range{}
	for _, b := range body.Blocks {
		if b.Type != "plugin" {
			continue
		}
		p, ok := d.locked(b)
		if !ok {
			continue
		}
		if at, twice := first[p.Name]; twice {
			d.error(b.LabelRanges[0], "Second block", "The plugin %q is locked already, at line %d.", p.Name, at.Start.Line)
			continue
		}
		first[p.Name] = b.DefRange()
		l.Plugins = append(l.Plugins, p)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	slices.SortFunc(l.Plugins, func(a, b Locked) int { return strings.Compare(a.Name, b.Name) })
	return l, nil
}

// format comes first: what else is wrong with a newer file is only that it is newer.
func (d *document) format(body *hclsyntax.Body) bool {
	a := body.Attributes["format"]
	if a == nil {
		d.error(body.MissingItemRange(), "Missing argument", `A lock file has "format = %d". If this is none, move it away; then run `+"`faultline init`.", lockFormat)
		return false
	}
	n, ok := d.number(a)
	switch {
	case !ok:
		return false
	case n > lockFormat:
		d.error(a.Expr.Range(), "Too new", "The lock file has format %d, and this faultline reads up to %d: upgrade faultline.", n, lockFormat)
		return false
	}
	return true
}

func (d *document) number(a *hclsyntax.Attribute) (int, bool) {
	v, ok := d.value(a, cty.Number, "1")
	if !ok {
		return 0, false
	}
	n, _ := v.AsBigFloat().Int64()
	if !v.AsBigFloat().IsInt() || n < 1 || n > 1<<30 {
		d.error(a.Expr.Range(), "Wrong number", "%q is a whole number from 1 on.", a.Name)
		return 0, false
	}
	return int(n), true
}

func (d *document) locked(b *hclsyntax.Block) (p Locked, ok bool) {
	before := len(d.diags)
	if len(b.Labels) != 1 || !pluginName().MatchString(b.Labels[0]) {
		d.error(b.DefRange(), "Invalid label", `The block is written: plugin "NAME" { … }, with lower-case letters and digits.`)
		return p, false
	}
	p.Name = b.Labels[0]
	d.only(b.Body, "a locked plugin", []string{"source", "version", "constraint", "protocol", "key", "sha256"}, nil)
	attrs := b.Body.Attributes
	for _, name := range []string{"source", "version", "protocol", "sha256"} {
		if attrs[name] == nil {
			d.error(b.DefRange(), "Missing argument", "A locked plugin has %q.", name)
		}
	}
	// matches is a string argument in the form of a pattern.
	matches := func(name string, form *regexp.Regexp, like string) string {
		text, ok := d.text(attrs[name], like)
		if ok && !form.MatchString(text) {
			d.error(attrs[name].Expr.Range(), "Invalid "+name, "It is written like this: %s.", like)
		}
		return text
	}
	if text, ok := d.text(attrs["source"], `"plugins.example.com/acme/lamp"`); ok {
		var err error
		if p.Source, err = address.Parse(text); err != nil {
			d.error(attrs["source"].Expr.Range(), "Invalid source", "%s.", sentence(err))
		} else if p.Source.Name != p.Name {
			d.error(attrs["source"].Expr.Range(), "Invalid source", "This is the plugin %q, not %q.", p.Source.Name, p.Name)
		}
	}
	p.Version = matches("version", releaseVersion(), `"1.2.0"`)
	p.Key = matches("key", keyID(), `"SHA256:…"`)
	p.Constraint, _ = d.text(attrs["constraint"], `"~> 1.2"`)
	if attrs["protocol"] != nil {
		p.Protocol, _ = d.number(attrs["protocol"])
	}
	if attrs["sha256"] != nil {
		p.Sums = d.sums(attrs["sha256"])
	}
	return p, len(d.diags) == before
}

func (d *document) sums(a *hclsyntax.Attribute) map[Platform]string {
	const like = `{ linux_amd64 = "…" }, with a SHA-256 in hexadecimal`
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok || len(object.Items) == 0 {
		d.error(a.Expr.Range(), "Wrong type", "%q is written like this: %s.", a.Name, like)
		return nil
	}
	out := map[Platform]string{}
	for _, item := range object.Items {
		key, diags := item.KeyExpr.Value(nil)
		if diags.HasErrors() || key.IsNull() || key.Type() != cty.String {
			d.error(item.KeyExpr.Range(), "Wrong type", "%q is written like this: %s.", a.Name, like)
			continue
		}
		platform, err := ParsePlatform(key.AsString())
		if err != nil {
			d.error(item.KeyExpr.Range(), "Invalid platform", "%s.", sentence(err))
			continue
		}
		if _, twice := out[platform]; twice {
			d.error(item.KeyExpr.Range(), "Platform twice", "%s stands here twice.", platform)
			continue
		}
		sum, diags := item.ValueExpr.Value(nil)
		if diags.HasErrors() || sum.IsNull() || sum.Type() != cty.String || !hexSum().MatchString(sum.AsString()) {
			d.error(item.ValueExpr.Range(), "Invalid checksum", "A SHA-256 has 64 digits, 0-9 and a-f.")
			continue
		}
		out[platform] = sum.AsString()
	}
	return out
}
