package host

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

func TestFind(t *testing.T) {
	first, second := installed(t, "docker"), installed(t, "docker", "http", "tcp")
	h := New(Options{PluginDirs: []string{first, first, filepath.Join(first, "missing")}, SelfDir: second})
	if path, err := h.Find("docker"); path != filepath.Join(first, Prefix+"docker") || err != nil {
		t.Errorf("Find(docker) = %s, %v", path, err)
	}
	if path, err := h.Find("http"); path != filepath.Join(second, Prefix+"http") || err != nil {
		t.Errorf("Find(http) = %s, %v", path, err)
	}
	_, err := h.Find("dokcer")
	var missing *NotFoundError
	if !errors.As(err, &missing) || missing.Similar != "docker" || !slices.Equal(missing.Have, []string{"docker", "http", "tcp"}) || len(missing.Looked) != 3 {
		t.Errorf("Find(dokcer): %+v", missing)
	}
	for _, want := range []string{`did you mean "docker"?`, first, second, "docker, http, tcp", "faultline init", "dev_overrides"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if _, err := New(Options{}).Find("x"); err == nil || !strings.Contains(err.Error(), "-plugin-dir") {
		t.Errorf("Find without folders: %v", err)
	}
	if _, err := h.Find("../x"); err == nil || !strings.Contains(err.Error(), "lower-case") {
		t.Errorf("Find of a path: %v", err)
	}
}

// What is installed comes after -plugin-dir and before what lies beside faultline, which
// does not take its place when it is gone.
func TestFindInstalled(t *testing.T) {
	named, self, store := installed(t, "docker"), installed(t, "docker", "lamp", "fan"), installed(t, "docker", "lamp")
	h := New(Options{PluginDirs: []string{named}, SelfDir: self, Installed: map[string]string{
		"docker": filepath.Join(store, Prefix+"docker"), "lamp": filepath.Join(store, Prefix+"lamp"), "fan": filepath.Join(store, Prefix+"fan"),
	}})
	for name, want := range map[string]string{"docker": named, "lamp": store} {
		if path, err := h.Find(name); path != filepath.Join(want, Prefix+name) || err != nil {
			t.Errorf("Find(%s) = %s, %v; want it in %s", name, path, err, want)
		}
	}
	if path, err := h.Find("fan"); err == nil || !strings.Contains(err.Error(), "run `faultline init`") {
		t.Errorf("Find(fan) = %s, %v", path, err)
	}
	var names []string
	for _, f := range h.found() {
		names = append(names, f.name)
	}
	if !slices.Equal(names, []string{"docker", "fan", "lamp"}) {
		t.Errorf("found %v", names)
	}
}

func TestFindSaysWhatIsWrongWithAFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, Prefix+"folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, Prefix+"flat"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := New(Options{PluginDirs: []string{dir}, SelfDir: installed(t, "folder", "flat")})
	for name, want := range map[string]string{"folder": "is a folder", "flat": "chmod +x"} {
		if _, err := h.Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%s): %v; want %q", name, err, want)
		}
	}
}

// realCopy puts a copy of the test binary where a plugin is looked for, with times
// of long ago as far as a program can set them.
func realCopy(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := openBinary("testfile", self)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	path := filepath.Join(t.TempDir(), Prefix+"testfile")
	if err := b.copyTo(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDescribeIsCached(t *testing.T) {
	path := realCopy(t)
	cache := t.TempDir()
	in := func(role string) *Host {
		return playing(t, role, func(o *Options) { o.PluginDirs, o.CacheDir = []string{filepath.Dir(path)}, cache })
	}
	want, err := in("plugin").Describe(t.Context(), "testfile")
	if err != nil {
		t.Fatal(err)
	}
	// Now a plugin that would fail to start: the answer must come from the cache.
	got, err := in("crash").Describe(t.Context(), "testfile")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := asJSON(t, want), asJSON(t, got); a != b {
		t.Errorf("from the cache:\n%s\nfrom the plugin:\n%s", b, a)
	}
	// A damaged or foreign cache is a miss.
	files, _ := filepath.Glob(filepath.Join(cache, "descriptions", "*"))
	if len(files) != 1 {
		t.Fatalf("cached: %v", files)
	}
	for _, bad := range []string{"", "{", "null", `{"sha256":"0","description":{}}`} {
		if err := os.WriteFile(files[0], []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := in("crash").Describe(t.Context(), "testfile"); err == nil {
			t.Errorf("a cache with %q was believed", bad)
		}
	}
	if _, err := in("plugin").Describe(t.Context(), "testfile"); err != nil {
		t.Fatal(err)
	}
	if _, err := in("crash").Describe(t.Context(), "testfile"); err != nil {
		t.Errorf("the damaged cache was not repaired: %v", err)
	}
	// Another binary is another entry.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if errors.Is(err, os.ErrPermission) {
		if err = os.Chmod(path, 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("more")
	f.Close()
	if _, err := in("crash").Describe(t.Context(), "testfile"); err == nil {
		t.Error("a changed binary was described from the cache")
	}
	// A cache that cannot be written is no error.
	h := playing(t, "plugin", func(o *Options) { o.CacheDir = "/proc/none" })
	if _, err := h.Describe(t.Context(), "testfile"); err != nil {
		t.Error(err)
	}
}

func TestChecksumsAreCachedByIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), Prefix+"x")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h := New(Options{CacheDir: t.TempDir()})
	sum := func() string {
		t.Helper()
		b, err := openBinary("x", path)
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		if err := h.checksum(b); err != nil {
			t.Fatal(err)
		}
		return b.sum
	}
	entries := func() []string {
		files, _ := filepath.Glob(filepath.Join(h.opts.CacheDir, "checksums", "*.json"))
		return files
	}
	write("one")
	one := sum()
	if len(entries()) != 0 {
		t.Error("a file that was changed just now is remembered")
	}
	eventually(t, "the file has settled and is remembered", func() bool { return sum() == one && len(entries()) == 1 })
	raw, _ := os.ReadFile(entries()[0])
	fake := strings.Replace(string(raw), one, strings.Repeat("f", 64), 1)
	if err := os.WriteFile(entries()[0], []byte(fake), 0o600); err != nil {
		t.Fatal(err)
	}
	if sum() == one {
		t.Error("the cache is not used")
	}
	// The same size and modification time; only the change time tells.
	info, _ := os.Stat(path)
	write("two")
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if s := sum(); s == one || s == strings.Repeat("f", 64) {
		t.Error("a changed file has the checksum of the old one")
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestList(t *testing.T) {
	h := playing(t, "plugin", func(o *Options) { o.PluginDirs = []string{installed(t, "testfile", "wrong"), installed(t, "testfile")} })
	flat := filepath.Join(h.opts.PluginDirs[0], Prefix+"flat")
	if err := os.WriteFile(flat, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := h.List(t.Context())
	if len(all) != 3 || all[0].Name != "flat" || all[1].Name != "testfile" || all[2].Name != "wrong" {
		t.Fatalf("listed: %+v", all)
	}
	if all[0].Err == nil || all[0].Path != flat {
		t.Errorf("a file that is not executable: %+v", all[0])
	}
	if all[1].Err != nil || all[1].Description.Version != "1.2.3" || len(all[1].SHA256) != 64 {
		t.Errorf("a good plugin: %+v", all[1])
	}
	if all[2].Err == nil || !strings.Contains(all[2].Err.Error(), "rename it to faultline-plugin-testfile") {
		t.Errorf("a plugin with another's name: %v", all[2].Err)
	}
}

func TestCheckVersion(t *testing.T) {
	for _, c := range []struct{ version, constraint, want string }{
		{"0.1.5", "", ""},
		{"0.1.5", "~> 0.1", ""},
		{"1.0.0", ">= 0.9, < 2", ""},
		{"0.1.5", "~> 0.2", "install another version of faultline-plugin-x"},
		{"0.1.5", "about 1", "write it like"},
		{"latest", "~> 0.1", "no semantic version"},
	} {
		err := CheckVersion(&schema.Description{Name: "x", Version: c.version}, c.constraint)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("CheckVersion(%s, %q): %v; want %q", c.version, c.constraint, err, c.want)
		}
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	good := func() *schema.Description {
		d, err := sdk.Describe(testPlugin("1.2.3"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if err := check(good(), "testfile"); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*schema.Description){
		"upgrade faultline":         func(d *schema.Description) { d.Format = schema.Version + 1 },
		"does not describe itself":  func(d *schema.Description) { d.Format = 0 },
		"no semantic version":       func(d *schema.Description) { d.Version = "one" },
		`must be called "testfile"`: func(d *schema.Description) { d.Faults[0].Type = "docker_kill" },
		"single underscores":        func(d *schema.Description) { d.Faults[0].Type = "testfile_a\nb" },
		"is there twice":            func(d *schema.Description) { d.Faults = append(d.Faults, d.Faults[0]) },
		`"duration" belongs to the engin`: func(d *schema.Description) {
			d.Faults[0].Config.Attributes = []schema.Attribute{{Name: "duration", Type: "duration"}}
		},
		`"version" belongs to the engine`: func(d *schema.Description) {
			d.Settings.Attributes = []schema.Attribute{{Name: "version", Type: "string"}}
		},
		`has the type "text", which is not known`: func(d *schema.Description) {
			d.Actions[0].Config.Attributes = []schema.Attribute{{Name: "a", Type: "text"}}
		},
		"upgrade faultline, or tell": func(d *schema.Description) { d.Faults[0].Capabilities = []schema.Capability{"moon"} },
		"TEST_* is":                  func(d *schema.Description) { d.Environment = []schema.EnvVar{{Name: "TEST_* is"}} },
		`hold "" is unknown`:         func(d *schema.Description) { d.Faults[0].Hold = "" },
		`reversibility "maybe"`:      func(d *schema.Description) { d.Faults[0].Reversibility = "maybe" },
		"revert_ms":                  func(d *schema.Description) { d.Faults[0].RevertMS = 0 },
		`every sample has "ok"`: func(d *schema.Description) {
			d.Probes = []schema.Probe{{Type: "testfile", Sample: []schema.Attribute{{Name: "ok", Type: "bool"}}}}
		},
		`a field "body" of type "list(string)"`: func(d *schema.Description) {
			d.Probes = []schema.Probe{{Type: "testfile", Sample: []schema.Attribute{{Name: "body", Type: "list(string)"}}}}
		},
		`has the type "colour", which is not known`: func(d *schema.Description) {
			d.Targets = []schema.Target{{Type: "testfile", Attributes: []schema.Attribute{{Name: "a", Type: "colour"}}}}
		},
	} {
		d := good()
		change(d)
		if err := check(d, "testfile"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("check: %v; want %q", err, want)
		}
	}
}
