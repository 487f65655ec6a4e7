package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/faultline-go/faultline/engine/install/address"
)

// Want is a plugin that a scenario asks for.
type Want struct {
	Source     address.Address
	Constraint string // "~> 1.2"; empty: any
}

// Self is what a binary says of itself.
type Self struct {
	Name     string
	Version  string
	Protocol int // that it answered in
}

// Options say how plugins are installed.
type Options struct {
	Config *Config
	Store  Store
	Agent  string // how we call ourselves to web servers: "faultline/1.2.3"

	Platform  Platform   // that plugins are installed for
	Platforms []Platform // that must be locked, too
	Upgrade   bool       // take the newest version, whatever is locked
	Frozen    bool       // install only what is locked; not together with Upgrade

	Protocols []int // of plugins that this faultline speaks
	// Describe starts the binary of a plugin at a path, if it has this SHA-256, which is
	// the one that was vouched for, and asks what it is.
	Describe func(ctx context.Context, name, path, sum string) (Self, error)
	// Open opens a source; nil: as the configuration says.
	Open func(*SourceConfig) Source
}

// Action is what was done about a plugin.
type Action string

// What Install does about a plugin.
const (
	Kept      Action = "kept"      // locked, and in the store
	Pinned    Action = "locked"    // in the store, and now in the lock file, or with more platforms in it
	Installed Action = "installed" // fetched
)

// Outcome says what was done about one plugin.
type Outcome struct {
	Source    address.Address
	Version   string
	Before    string // the version that was locked, where it was another
	Action    Action
	From      string // the mirror; empty when nothing was asked of it
	Key       string // SHA256:…; empty: not signed
	Signer    string // the key's comment in the configuration
	KeyBefore string // that was locked, where it was another
	Platforms []Platform
}

// Install sees to it that every plugin is in the store, and returns the lock file that
// says so: what is locked stays, unless Options.Upgrade. It goes through all of them,
// and the error says everything that is wrong; then there is no lock file.
func Install(ctx context.Context, lock *Lock, wants []Want, o Options) (*Lock, []Outcome, error) {
	next := &Lock{Path: lock.Path, Plugins: slices.Clone(lock.Plugins)}
	var out []Outcome
	var errs []error
	for _, w := range wants {
		j := job{Options: o, want: w, old: lock.Plugin(w.Source.Name)}
		p, did, err := j.run(ctx)
		if err == nil {
			err = next.Set(p)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, did)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, out, err
	}
	return next, out, nil
}

// job is the work for one plugin.
type job struct {
	Options
	want Want
	old  *Locked // nil: it is not locked
}

func (j *job) run(ctx context.Context) (Locked, Outcome, error) {
	c := j.Config.Source(j.want.Source)
	if j.Frozen {
		if err := j.frozen(); err != nil {
			return Locked{}, Outcome{}, err
		}
	}
	if j.old != nil && !j.Upgrade {
		if err := j.agrees(c); err != nil {
			return Locked{}, Outcome{}, err
		}
		if j.complete() {
			p := *j.old
			p.Constraint = j.want.Constraint
			return p, Outcome{Source: p.Source, Version: p.Version, Action: Kept, Key: p.Key, Platforms: platforms(p.Sums)}, nil
		}
	}
	if c == nil {
		return Locked{}, Outcome{}, fmt.Errorf("nothing says where %s comes from: add a block to %s: source %q { mirror = \"/folder\", or url = \"https://…\", and keys = [\"…\"] }", j.want.Source, j.Config.place(), j.want.Source)
	}
	var from Source
	if j.Open != nil {
		from = j.Open(c)
	} else {
		from = openSource(c, j.Agent)
	}
	version, err := j.choose(ctx, c, from)
	if err != nil {
		return Locked{}, Outcome{}, err
	}
	return j.install(ctx, c, from, version)
}

// install gets one version.
func (j *job) install(ctx context.Context, c *SourceConfig, from Source, version string) (Locked, Outcome, error) {
	fail := func(err error) (Locked, Outcome, error) { return Locked{}, Outcome{}, err }
	a := j.want.Source
	same := j.old != nil && j.old.Source == a && j.old.Version == version
	release, err := from.Release(ctx, a, version)
	switch {
	case errors.Is(err, fs.ErrNotExist) && same:
		return fail(&MissingError{fmt.Sprintf("%s has no %s %s, which is locked; put it there, or run `faultline init -upgrade`", c.Place(), a, version)})
	case errors.Is(err, fs.ErrNotExist):
		return fail(&MissingError{fmt.Sprintf("%s lists %s %s in its index, and has no %s.json", c.Place(), a, version, version)})
	}
	if err != nil {
		return fail(fmt.Errorf("look for %s %s: %w", a, version, err))
	}
	v, err := c.vouch(a, version, release)
	if err != nil {
		return fail(err)
	}
	if err := j.sameKey(v); err != nil {
		return fail(err)
	}
	if err := j.speaks(v); err != nil {
		return fail(err)
	}
	p := Locked{Name: a.Name, Source: a, Version: version, Constraint: j.want.Constraint, Key: v.key.ID(), Sums: v.binaries()}
	if same { // before anything of it is started
		merged := &Lock{Plugins: []Locked{*j.old}}
		if err := merged.Set(p); err != nil {
			return fail(err)
		}
		p.Sums = merged.Plugins[0].Sums
	}
	did := Outcome{Source: a, Version: version, Action: Pinned, From: c.Place(), Key: p.Key, Signer: v.key.Comment()}
	if j.old != nil {
		if j.old.Version != version {
			did.Before = j.old.Version
		}
		if j.old.Key != p.Key {
			did.KeyBefore = j.old.Key
		}
	}

	self, fresh, err := j.here(ctx, from, v, p.Sums)
	if err != nil {
		return fail(err)
	}
	if fresh {
		did.Action = Installed
	}
	p.Protocol = self.Protocol
	for _, other := range j.Platforms {
		if p.Sums[other] != "" {
			continue
		}
		f, err := fetch(ctx, from, v, other, j.Store)
		if err != nil {
			return fail(err)
		}
		f.staging.discard()
		p.Sums[other] = f.sum
	}
	did.Platforms = platforms(p.Sums)
	if same && !fresh && len(p.Sums) == len(j.old.Sums) && j.old.Key == p.Key {
		did.Action = Kept
	}
	return p, did, nil
}

// sameKey refuses what another key signed than the locked one, and what nobody signed
// where somebody had.
func (j *job) sameKey(v *vouched) error {
	if j.old == nil || j.Upgrade || j.old.Key == v.key.ID() {
		return nil
	}
	now, before := v.key.ID(), j.old.Key
	if now == "" {
		now = "nobody"
	}
	if before == "" {
		before = "nobody"
	}
	return untrusted("%s %s is signed by %s, and was locked as signed by %s; if the change is right, run `faultline init -upgrade`", v.address, v.version, now, before)
}

// speaks says why a release that names its protocols cannot be used: before anything of
// it is fetched.
func (j *job) speaks(v *vouched) error {
	ours := func(n int) bool { return slices.Contains(j.Protocols, n) }
	if len(v.Protocols) == 0 || slices.ContainsFunc(v.Protocols, ours) {
		return nil
	}
	return &IncompatibleError{fmt.Sprintf("%s %s speaks version %s of the plugin protocol, and this faultline speaks %s: ask for another version of the plugin, or use another faultline", v.address, v.version, numbers(v.Protocols), numbers(j.Protocols))}
}

func numbers(all []int) string {
	text := ""
	for i, n := range slices.Sorted(slices.Values(all)) {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(n)
	}
	return text
}

// here sees to it that the binary for this machine is in the store, and enters its
// checksum. fresh says that it had to be fetched.
func (j *job) here(ctx context.Context, from Source, v *vouched, sums map[Platform]string) (self Self, fresh bool, err error) {
	name := v.address.Name
	want := sums[j.Platform]
	if want != "" && j.Store.Check(name, want) == nil {
		self, err = j.describe(ctx, v, j.Store.Path(name, want), want)
		return self, false, err
	}
	f, err := fetch(ctx, from, v, j.Platform, j.Store)
	if err != nil {
		return self, false, err
	}
	defer f.staging.discard()
	if want != "" && f.sum != want {
		return self, false, untrusted("the archive of %s %s for %s has a binary with the SHA-256 %s, and %s was signed or locked", v.address, v.version, j.Platform, f.sum, want)
	}
	if self, err = j.describe(ctx, v, f.path, f.sum); err != nil {
		return self, false, err
	}
	if err := f.staging.keep(name, f.sum); err != nil {
		return self, false, err
	}
	sums[j.Platform] = f.sum
	return self, true, nil
}

// describe compares what a binary says of itself with what it was published as.
func (j *job) describe(ctx context.Context, v *vouched, path, sum string) (Self, error) {
	self, err := j.Describe(ctx, v.address.Name, path, sum)
	switch {
	case err != nil:
		return self, fmt.Errorf("%s %s: %w", v.address, v.version, err)
	case self.Name != v.address.Name || self.Version != v.version:
		return self, untrusted("%s %s says of itself that it is %s %s, and was not installed; tell its author", v.address, v.version, self.Name, self.Version)
	}
	return self, nil
}

func platforms(sums map[Platform]string) []Platform {
	return slices.SortedFunc(maps.Keys(sums), func(a, b Platform) int { return slices.Compare([]string{a.OS, a.Arch}, []string{b.OS, b.Arch}) })
}
