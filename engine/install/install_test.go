package install

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/install/sshsig"
)

// bench is a mirror, a store and a configuration that fit together.
type bench struct {
	t    *testing.T
	m    mirror
	by   signer
	o    Options
	lock *Lock
	want Want
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, m: newMirror(t), by: newSigner(t, "acme"), lock: &Lock{Path: "lock"}, want: Want{lamp, "~> 1.2"}}
	b.o = Options{Store: Store{t.TempDir()}, Platform: amd, Protocols: []int{1}, Describe: describe}
	b.trust(b.by.line)
	for _, v := range []string{"1.1.0", "1.2.0", "1.3.0-rc.1", "2.0.0"} {
		b.m.publish(v, &b.by, false)
	}
	return b
}

// trust makes a configuration with these keys; without any it allows unsigned plugins.
func (b *bench) trust(lines ...string) {
	b.t.Helper()
	c := SourceConfig{Mirror: b.m.dir, Pos: "config.hcl:1", AllowUnsigned: len(lines) == 0}
	for _, line := range lines {
		key, err := sshsig.ParseKey(line)
		if err != nil {
			b.t.Fatal(err)
		}
		c.Keys = append(c.Keys, key)
	}
	c.Prefix = prefix(b.t, "plugins.example.com")
	b.o.Config = &Config{Path: "config.hcl", Sources: []SourceConfig{c}}
}

func (b *bench) install() (Outcome, error) {
	b.t.Helper()
	next, out, err := Install(b.t.Context(), b.lock, []Want{b.want}, b.o)
	if err != nil {
		if next != nil {
			b.t.Errorf("there is a lock file although it failed: %+v", next)
		}
		return Outcome{}, err
	}
	b.lock = next
	return out[0], nil
}

func (b *bench) must() Outcome {
	b.t.Helper()
	out, err := b.install()
	if err != nil {
		b.t.Fatal(err)
	}
	if left := files(b.t, b.o.Store.Dir); slices.ContainsFunc(left, func(f string) bool { return strings.HasPrefix(f, stagingPrefix) }) {
		b.t.Errorf("left in the store: %v", left)
	}
	return out
}

// refused wants an error of a kind, with a text in it, and nothing new in the store.
func refused[E error](b *bench, text string) {
	b.t.Helper()
	before, lock := files(b.t, b.o.Store.Dir), string(b.lock.Text())
	out, err := b.install()
	var kind E
	if !errors.As(err, &kind) || !strings.Contains(err.Error(), text) {
		b.t.Errorf("got %+v, %v; want an error of the kind %T with %q", out, err, kind, text)
	}
	if after := files(b.t, b.o.Store.Dir); !slices.Equal(before, after) {
		b.t.Errorf("and the store has %v, before %v", after, before)
	}
	if string(b.lock.Text()) != lock {
		b.t.Error("and the lock file was changed")
	}
}

func TestInstall(t *testing.T) {
	b := newBench(t)
	out := b.must()
	want := Outcome{
		Source: lamp, Version: "1.2.0", Action: Installed, From: b.m.dir,
		Key: b.by.key.ID(), Signer: "acme", Platforms: []Platform{amd, arm},
	}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("%+v\nwant %+v", out, want)
	}
	sum := sumOf(content("1.2.0", amd))
	locked := Locked{
		Name: "lamp", Source: lamp, Version: "1.2.0", Constraint: "~> 1.2", Protocol: 1, Key: b.by.key.ID(),
		Sums: map[Platform]string{amd: sum, arm: sumOf(content("1.2.0", arm))}, // without fetching it
	}
	if !reflect.DeepEqual(*b.lock.Plugin("lamp"), locked) {
		t.Errorf("%+v\nwant %+v", b.lock.Plugin("lamp"), locked)
	}
	if err := b.o.Store.Check("lamp", sum); err != nil {
		t.Error(err)
	}
	if path := b.lock.Installed("lamp", b.o.Store, amd); path != b.o.Store.Path("lamp", sum) {
		t.Errorf("it is at %s", path)
	}
	if err := b.lock.Check(b.want, amd); err != nil {
		t.Error(err)
	}

	// A second time there is nothing to do, and nothing is asked of the mirror; nor does
	// it matter that it has something newer.
	b.m.publish("1.4.0", &b.by, false)
	before := string(b.lock.Text())
	b.o.Open = func(*SourceConfig) Source { t.Error("the mirror is asked"); return nil }
	if out := b.must(); out.Action != Kept || out.Version != "1.2.0" || string(b.lock.Text()) != before {
		t.Errorf("%+v", out)
	}
	// Not even a configuration is needed for that.
	config := b.o.Config
	b.o.Config = &Config{}
	if out := b.must(); out.Action != Kept {
		t.Errorf("%+v", out)
	}
	b.o.Open, b.o.Config = nil, config

	// On another machine the locked version is installed.
	b.o.Store = Store{t.TempDir()}
	if out := b.must(); out.Action != Installed || out.Version != "1.2.0" || string(b.lock.Text()) != before {
		t.Errorf("%+v", out)
	}
	b.o.Upgrade = true
	if out := b.must(); out.Action != Installed || out.Version != "1.4.0" || out.Before != "1.2.0" {
		t.Errorf("%+v", out)
	}
	if out := b.must(); out.Action != Kept || out.Version != "1.4.0" || out.Before != "" {
		t.Errorf("upgraded again: %+v", out)
	}
}

func TestInstallPlatforms(t *testing.T) {
	b := newBench(t)
	b.m.publish("1.2.0", &b.by, true)
	b.must()
	if got := b.lock.Plugin("lamp").Sums; len(got) != 1 {
		t.Errorf("the checksum file does not name binaries, and there are %v", got)
	}
	b.o.Platforms = []Platform{amd, arm}
	if out := b.must(); out.Action != Pinned || len(out.Platforms) != 2 || b.lock.Plugin("lamp").Sums[arm] != sumOf(content("1.2.0", arm)) {
		t.Errorf("%+v, %+v", out, b.lock.Plugin("lamp"))
	}
	if out := b.must(); out.Action != Kept {
		t.Errorf("%+v", out)
	}
	if got := files(t, b.o.Store.Dir); len(got) != 1 {
		t.Errorf("the store has %v", got)
	}
	mac := Platform{"darwin", "arm64"}
	b.o.Platforms = []Platform{mac}
	refused[*noArchiveError](b, "1.2.0 is not there for darwin_arm64; it is for linux_amd64, linux_arm64")
	b.o.Platforms, b.o.Platform = nil, mac
	refused[*noArchiveError](b, "not there for darwin_arm64")
	if err := b.lock.Check(b.want, mac); err == nil || !strings.Contains(err.Error(), "not locked for darwin_arm64: run `faultline init`") {
		t.Error(err)
	}

	// A machine of another platform finds its checksum in the lock file.
	b.o.Platform = arm
	if out := b.must(); out.Action != Installed || len(out.Platforms) != 2 {
		t.Errorf("%+v", out)
	}
}

func TestInstallUnsigned(t *testing.T) {
	b := newBench(t)
	b.m.publish("1.2.0", nil, false)
	refused[*UntrustedError](b, "is not signed: "+b.m.dir+" has no faultline-plugin-lamp_1.2.0_SHA256SUMS.sig")
	b.m.remove(ChecksumsName("lamp", "1.2.0"))
	refused[*UntrustedError](b, "has no faultline-plugin-lamp_1.2.0_SHA256SUMS, and the configuration (config.hcl:1) names keys")

	b.trust()
	if out := b.must(); out.Key != "" || out.Action != Installed {
		t.Errorf("%+v", out)
	}
	if p := b.lock.Plugin("lamp"); p.Key != "" || len(p.Sums) != 1 {
		t.Errorf("%+v", p)
	}

	// What was locked unsigned is not taken for signed, nor the other way round.
	b.trust(b.by.line)
	b.m.publish("1.2.0", &b.by, false)
	refused[*UntrustedError](b, "was locked as signed by nobody, and the configuration (config.hcl:1) names keys") // although it is in the store
	b.o.Store = Store{t.TempDir()}
	refused[*UntrustedError](b, "was locked as signed by nobody")
	b.o.Upgrade = true
	if out := b.must(); out.Key != b.by.key.ID() {
		t.Errorf("%+v", out)
	}
	b.o.Upgrade, b.o.Store = false, Store{t.TempDir()}
	b.trust()
	refused[*UntrustedError](b, "is signed by nobody, and was locked as signed by "+b.by.key.ID())
}

func TestInstallOtherKey(t *testing.T) {
	b := newBench(t)
	b.must()
	thief := newSigner(t, "thief")
	b.o.Store = Store{t.TempDir()}
	b.m.publish("1.2.0", &thief, false)
	refused[*UntrustedError](b, "signed by a key that you do not trust ("+thief.key.ID()+"); if it is the author's, add it to the source at config.hcl:1")
	b.trust(b.by.line, thief.line)
	refused[*UntrustedError](b, "is signed by "+thief.key.ID()+", and was locked as signed by "+b.by.key.ID())
	b.trust(thief.line)
	refused[*UntrustedError](b, "which the configuration (config.hcl:1) does not trust")
	b.o.Upgrade = true
	if out := b.must(); out.KeyBefore != b.by.key.ID() || out.Key != thief.key.ID() {
		t.Errorf("%+v", out)
	}
	// A key that is withdrawn counts for what is installed, too.
	b.o.Upgrade = false
	b.trust(b.by.line)
	refused[*UntrustedError](b, "does not trust")
}

func TestInstallTampered(t *testing.T) {
	zip := ArchiveName("lamp", "1.2.0", amd) + ".zip"
	sums := ChecksumsName("lamp", "1.2.0")
	for name, c := range map[string]struct {
		tamper func(*bench)
		want   string
	}{
		"another archive": {func(b *bench) {
			b.m.write(zip, zipOf(b.t, packedFile{name: lampBinary, text: "evil 1.2.0 1", mode: 0o755}))
		}, "was changed, or is not complete"},
		"half an archive": {func(b *bench) {
			raw, _ := os.ReadFile(b.m.path(zip))
			b.m.write(zip, raw[:len(raw)/2])
		}, "was changed, or is not complete"},
		"another archive and index": {func(b *bench) {
			old, _ := os.ReadFile(b.m.path(zip))
			evil := zipOf(b.t, packedFile{name: lampBinary, text: "evil 1.2.0 1", mode: 0o755})
			b.m.write(zip, evil)
			b.m.edit("1.2.0.json", sumOf(string(old)), sumOf(string(evil)))
		}, "in the index and"},
		"another archive and checksums": {func(b *bench) {
			old, _ := os.ReadFile(b.m.path(zip))
			evil := zipOf(b.t, packedFile{name: lampBinary, text: "evil 1.2.0 1", mode: 0o755})
			b.m.write(zip, evil)
			b.m.edit("1.2.0.json", sumOf(string(old)), sumOf(string(evil)))
			b.m.edit(sums, sumOf(string(old)), sumOf(string(evil)))
		}, "the signature does not belong to the content"},
		"the older release in place of the newer": {func(b *bench) {
			for _, ending := range []string{"", ".sig"} {
				raw, _ := os.ReadFile(b.m.path(ChecksumsName("lamp", "1.1.0") + ending))
				b.m.write(sums+ending, raw)
			}
			raw, _ := os.ReadFile(b.m.path("1.1.0.json"))
			b.m.write("1.2.0.json", raw)
		}, "has no line for faultline-plugin-lamp_1.2.0_linux_amd64.zip"},
		"no signature in the signature's file": {func(b *bench) {
			b.m.write(sums+".sig", []byte("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"))
		}, "not an SSH signature"},
		"the author signs another binary than is packed": {func(b *bench) {
			b.m.edit(sums, sumOf(content("1.2.0", amd)), sumA)
			b.by.sign(b.t, b.m.path(sums))
		}, "has a binary with the SHA-256 " + sumOf(content("1.2.0", amd))},
		"the author publishes another version than he built": {func(b *bench) {
			b.repack(zip, "lamp 1.1.0 1")
		}, "says of itself that it is lamp 1.1.0, and was not installed"},
		"the author publishes another plugin": {func(b *bench) {
			b.repack(zip, "fan 1.2.0 1")
		}, "says of itself that it is fan 1.2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.tamper(b)
			refused[*UntrustedError](b, c.want)
		})
	}
}

// repack has the author publish an archive with another binary, rightly signed.
func (b *bench) repack(zip, text string) {
	b.t.Helper()
	old, err := os.ReadFile(b.m.path(zip))
	if err != nil {
		b.t.Fatal(err)
	}
	now := zipOf(b.t, packedFile{name: lampBinary, text: text, mode: 0o755})
	b.m.write(zip, now)
	b.m.edit("1.2.0.json", sumOf(string(old)), sumOf(string(now)))
	sums := ChecksumsName("lamp", "1.2.0")
	b.m.edit(sums, sumOf(string(old)), sumOf(string(now)))
	b.m.edit(sums, sumOf(content("1.2.0", amd)), sumOf(text))
	b.by.sign(b.t, b.m.path(sums))
}

// A version is what it was when it was locked, or it is not installed.
func TestInstallChangedRelease(t *testing.T) {
	b := newBench(t)
	b.must()
	b.o.Describe = func(context.Context, string, string, string) (Self, error) {
		t.Error("the changed binary is started")
		return Self{}, nil
	}
	b.o.Store = Store{t.TempDir()}
	b.repack(ArchiveName("lamp", "1.2.0", amd)+".zip", "lamp 1.2.0 1 but another build")
	refused[*UntrustedError](b, "was changed after it was locked")
	b.o.Upgrade = true
	refused[*UntrustedError](b, "was changed after it was locked")
}

func TestInstallDowngrade(t *testing.T) {
	b := newBench(t)
	b.must()
	b.m.remove("1.2.0.json")
	b.m.publish("1.2.1-rc.1", &b.by, false) // writes the index, too
	b.o.Store = Store{t.TempDir()}
	refused[*MissingError](b, "has no plugins.example.com/acme/lamp 1.2.0, which is locked")
	b.m.publish("1.2.0", &b.by, false)
	b.want.Constraint = ">= 1.0, < 2"
	b.must()
	b.m.remove("1.2.0.json")
	b.m.publish("1.1.1", &b.by, false)
	b.o.Upgrade = true
	refused[*UntrustedError](b, "it would be a downgrade; if you want it, write version = \"= 1.1.1\"")
	b.want.Constraint = "= 1.1.1"
	if out := b.must(); out.Version != "1.1.1" || out.Before != "1.2.0" {
		t.Errorf("%+v", out)
	}
}

// Where the lock file is not to be changed nothing else than what is locked is fetched,
// let alone started.
func TestInstallFrozen(t *testing.T) {
	b := newBench(t)
	b.o.Frozen = true
	b.o.Open = func(*SourceConfig) Source { t.Error("the mirror is asked"); return nil }
	refused[*UntrustedError](b, "is not in the lock file, which is not to be changed")
	b.o.Frozen, b.o.Open = false, nil
	b.must()
	b.o.Frozen, b.o.Store = true, Store{t.TempDir()}
	before := string(b.lock.Text())
	if out := b.must(); out.Action != Installed || string(b.lock.Text()) != before {
		t.Errorf("%+v", out)
	}
	b.o.Platform = Platform{"darwin", "arm64"}
	refused[*UntrustedError](b, "has no checksum of plugins.example.com/acme/lamp")
}

func TestInstallDisagrees(t *testing.T) {
	b := newBench(t)
	b.must()
	b.want.Constraint = ">= 2"
	refused[error](b, `plugin lamp is locked with version 1.2.0, and the scenario wants ">= 2"; to change that, run `+"`faultline init -upgrade`")
	if err := b.lock.Check(b.want, amd); err == nil || !strings.Contains(err.Error(), "init -upgrade") {
		t.Error(err)
	}
	b.o.Upgrade = true
	if out := b.must(); out.Version != "2.0.0" || out.Before != "1.2.0" {
		t.Errorf("%+v", out)
	}
	b.o.Upgrade = false

	b.want.Source.Namespace = "other"
	refused[error](b, "is locked from plugins.example.com/acme/lamp, and the scenario wants it from plugins.example.com/other/lamp")

	// A weaker constraint changes only what the lock file says of it.
	b.want = Want{lamp, ">= 1"}
	if out := b.must(); out.Action != Kept || b.lock.Plugin("lamp").Constraint != ">= 1" {
		t.Errorf("%+v", out)
	}
}

func TestInstallNotThere(t *testing.T) {
	b := newBench(t)
	b.want.Constraint = ">= 3"
	refused[*MissingError](b, `has no version of plugins.example.com/acme/lamp that satisfies ">= 3"; it has 2.0.0, 1.3.0-rc.1, 1.2.0, 1.1.0`)
	b.want.Constraint = "= 1.3.0-rc.1"
	if out := b.must(); out.Version != "1.3.0-rc.1" {
		t.Errorf("%+v", out)
	}
	b.lock = &Lock{}
	b.want = Want{lamp, "~> 1.2"}
	b.want.Source.Namespace = "nobody"
	refused[*MissingError](b, "has no plugin plugins.example.com/nobody/lamp")
	b.want.Source.Host = ""
	refused[error](b, `nothing says where nobody/lamp comes from: add a block to config.hcl: source "nobody/lamp"`)
	b.want = Want{lamp, "= 1.2.0"}
	b.m.remove("1.2.0.json")
	refused[*MissingError](b, "in its index, and has no 1.2.0.json")
}

func TestInstallProtocol(t *testing.T) {
	b := newBench(t)
	b.o.Protocols = []int{3, 4}
	refused[*IncompatibleError](b, "lamp 1.2.0 speaks version 1, 2 of the plugin protocol, and this faultline speaks 3, 4")
	// What is locked is what the binary answers in, whatever the release says.
	b.m.edit("1.2.0.json", "[1,2]", "[3,4,5]")
	b.o.Describe = func(ctx context.Context, name, path, sum string) (Self, error) {
		s, err := describe(ctx, name, path, sum)
		s.Protocol = 4
		return s, err
	}
	b.must()
	if got := b.lock.Plugin("lamp").Protocol; got != 4 {
		t.Errorf("protocol %d", got)
	}
	// One that does not say is asked.
	b.m.edit("1.2.0.json", "[3,4,5]", "null")
	b.lock = &Lock{}
	b.o.Store = Store{t.TempDir()}
	b.must()
	b.lock = &Lock{}
	b.o.Store = Store{t.TempDir()}
	b.o.Describe = func(context.Context, string, string, string) (Self, error) {
		return Self{}, errors.New("it does not start")
	}
	refused[error](b, "lamp 1.2.0: it does not start")
}

// Of several plugins all are looked at, and nothing is locked unless all are right.
func TestInstallAll(t *testing.T) {
	b := newBench(t)
	bad, worse := b.want, b.want
	bad.Source.Name, worse.Source.Name = "fan", "fog"
	next, out, err := Install(t.Context(), b.lock, []Want{bad, b.want, worse}, b.o)
	if next != nil || len(out) != 1 || err == nil || !strings.Contains(err.Error(), "acme/fan") || !strings.Contains(err.Error(), "acme/fog") {
		t.Errorf("%+v, %+v, %v", next, out, err)
	}
}

// The store may be one that cannot be written to, if it has what is needed; and what is
// wrong in one that can is mended.
func TestInstallStore(t *testing.T) {
	b := newBench(t)
	b.must()
	if os.Getuid() != 0 { // who may write everywhere
		if err := os.Chmod(b.o.Store.Dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if out := b.must(); out.Action != Kept {
		t.Errorf("%+v", out)
	}
	b.lock = &Lock{} // a scenario beside it
	if out := b.must(); out.Action != Pinned {
		t.Errorf("%+v", out)
	}
	if err := os.Chmod(b.o.Store.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := b.lock.Installed("lamp", b.o.Store, amd)
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("evil"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out := b.must(); out.Action != Installed {
		t.Errorf("%+v", out)
	}
	if err := b.o.Store.Check("lamp", sumOf(content("1.2.0", amd))); err != nil {
		t.Error(err)
	}
}

func TestSatisfies(t *testing.T) {
	for _, c := range []struct {
		constraint, version string
		want                bool
	}{
		{"", "1.2.0", true},
		{"", "1.2.0-rc.1", false},
		{"~> 1.2", "1.9.0", true},
		{"~> 1.2", "2.0.0", false},
		{"~> 1.2.0", "1.3.0", false},
		{">= 1.2, < 2", "1.2.0", true},
		{">= 1.2.0-rc.1", "1.2.0-rc.2", false},
		{"1.2.0-rc.1", "1.2.0-rc.1", true},
		{"= 1.2.0-rc.1", "1.2.0-rc.1", true},
		{"=v1.2.0-rc.1", "1.2.0-rc.1", true},
		{"= 1.2.0-rc.1", "1.2.0-rc.2", false},
		{"!= 1.2.0", "1.2.0", false},
		{"!= 1.2.0", "1.3.0-rc.1", false},
		{"1.2", "1.2.0", true},
	} {
		if got, err := Satisfies(c.constraint, c.version); err != nil || got != c.want {
			t.Errorf("%q by %s: %t, %v", c.constraint, c.version, got, err)
		}
	}
	for _, v := range []string{"1.2", "v1.2.0", "1.2.0+build", "01.2.0", "1.2.0-", "1.2.0-../x", ""} {
		if ok, err := Satisfies("", v); err == nil {
			t.Errorf("the version %q satisfies: %t", v, ok)
		}
	}
	if best, err := newest("~> 1.2", []string{"1.2.0", "1.10.0", "1.9.9", "2.0.0"}); best != "1.10.0" || err != nil {
		t.Errorf("the newest is %s, %v", best, err)
	}
}

func TestChecksums(t *testing.T) {
	got, err := parseChecksums([]byte(sumA + "  a.zip\r\n" + sumB + " *linux_amd64/x\n\n"))
	if err != nil || !reflect.DeepEqual(got, checksums{"a.zip": sumA, "linux_amd64/x": sumB}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{
		sumA, sumA + "  ", sumA + " a.zip", sumA[1:] + "  a.zip", strings.ToUpper(sumA) + "  a.zip",
		"\\" + sumA + "  a\\nb", sumA + "  a b", sumA + "  a.zip\n" + sumB + "  a.zip\n", "<html>",
	} {
		if got, err := parseChecksums([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func FuzzChecksums(f *testing.F) {
	f.Add([]byte(sumA + "  a.zip\n" + sumB + " *linux_amd64/x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		sums, err := parseChecksums(text)
		for name, sum := range sums {
			if err == nil && (!hexSum().MatchString(sum) || strings.ContainsAny(name, " \n\\")) {
				t.Errorf("%q: %q", name, sum)
			}
		}
	})
}
